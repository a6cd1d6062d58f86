//! Trains and predicts with rten.
//!
//!     cargo run --release -- MODELS data_batch_1.bin 10 TRAINED
//!
//! MODELS has the parts of a network: `rdm-export --inline --part init`, `train` and `infer` as init.onnx, train.onnx and
//! infer.onnx. Each of the ten steps takes the next 32 images; every weight becomes a file of float32 in the folder TRAINED.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::time::Instant;

use rten::{Model, Value};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

/// CIFAR-10: records of a label and the pixels.
const PIXELS: usize = 3 * 32 * 32;

type Tensors = HashMap<String, Value>;

fn run(model: &Model, feeds: &Tensors) -> Result<Tensors, Box<dyn Error>> {
    let name = |&id| model.node_info(id).unwrap().name().unwrap().to_string();
    let inputs = model.input_ids().iter().map(|id| (*id, (&feeds[&name(id)]).into())).collect();
    let outputs = model.run(inputs, model.output_ids(), None)?;
    Ok(model.output_ids().iter().map(name).zip(outputs).collect())
}

fn ending(suffix: &str, tensors: Tensors) -> Tensors {
    tensors.into_iter().filter_map(|(name, value)| Some((name.strip_suffix(suffix)?.to_string(), value))).collect()
}

fn write(path: String, value: &Value) -> Result<(), Box<dyn Error>> {
    let Value::FloatTensor(tensor) = value else { return Err(format!("{path} is no float32").into()) };
    Ok(fs::write(path, tensor.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let [models, data, steps, trained] = std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("four arguments");
    let load = |part: &str| Model::load_file(format!("{models}/{part}.onnx"));
    let records = fs::read(data)?;
    let batch = |step: usize| -> (Vec<i32>, Value) {
        let all: Vec<&[u8]> = records.chunks(1 + PIXELS).collect();
        let chosen: Vec<&[u8]> = (step * 32..step * 32 + 32).map(|i| all[i % all.len()]).collect();
        let images: Vec<u8> = chosen.iter().flat_map(|record| &record[1..]).copied().collect();
        let labels = chosen.iter().map(|record| record[0] as i32).collect();
        (labels, Tensor::from_data(&[32, 3, 32, 32], images).into())
    };

    // The first value of NAME comes out as NAME.initial, the value after a step as NAME.next (metadata: rdm.initial,
    // rdm.carried).
    let mut state = ending(".initial", run(&load("init")?, &HashMap::new())?);
    let train = load("train")?;
    for step in 0..steps.parse()? {
        let (labels, images) = batch(step);
        state.insert("images".into(), images);
        state.insert("labels".into(), Tensor::from(labels).into());
        state.insert("learning_rate".into(), Tensor::from(0.05f32).into());
        let begin = Instant::now();
        let outputs = run(&train, &state)?;
        let seconds = begin.elapsed().as_secs_f64();
        let loss: Tensor<f32> = outputs["loss"].clone().try_into()?;
        let correct: Tensor<i32> = outputs["correct"].clone().try_into()?;
        let [loss, correct] = [loss[[]] as f64, correct[[]] as f64];
        println!("step {}: loss {loss:.6}, {correct} of 32 right, {seconds:.4} s", step + 1);
        state = ending(".next", outputs);
    }

    for (name, value) in &state {
        write(format!("{trained}/{name}"), value)?;
    }
    let (labels, images) = batch(0);
    let outputs = run(&load("infer")?, &HashMap::from([("images".into(), images)]))?;
    write(format!("{trained}/probabilities"), &outputs["probabilities"])?;
    let rows: NdTensor<f32, 2> = outputs["probabilities"].clone().try_into()?;
    let right = labels.iter().enumerate().filter(|&(i, &label)| (0..10).all(|k| rows[[i, k]] <= rows[[i, label as usize]]));
    println!("infer.onnx: {} of 32 right", right.count());
    Ok(())
}
