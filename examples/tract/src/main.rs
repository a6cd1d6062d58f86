//! Trains and predicts with tract.
//!
//!     cargo run --release -- MODELS data_batch_1.bin 10 TRAINED
//!
//! MODELS has the parts of a network: `rdm-export --inline --portable-level basic --part init`, `train` and `infer` as
//! init.onnx, train.onnx and infer.onnx. Each of the ten steps takes the next 32 images; every weight becomes a file of float32
//! in the folder TRAINED.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use tract_onnx::prelude::*;

/// CIFAR-10: records of a label and the pixels.
const PIXELS: usize = 3 * 32 * 32;

type Tensors = HashMap<String, TValue>;

struct Model {
    inputs: Vec<String>,
    outputs: Vec<String>,
    plan: Arc<TypedRunnableModel>,
}

fn load(path: String) -> TractResult<Model> {
    let model = tract_onnx::onnx().model_for_path(path)?;
    let inputs = model.input_outlets()?.iter().map(|outlet| model.node(outlet.node).name.clone()).collect();
    let outputs = model.output_outlets()?.iter().map(|&outlet| model.outlet_label(outlet).unwrap().to_string()).collect();
    // With sizes that are numbers: its optimizer takes for ever over products of a symbol.
    let batch = model.symbols.sym("batch");
    let model = model.into_typed()?.set_symbols(&HashMap::from([(batch, 32.to_dim())]))?;
    Ok(Model { inputs, outputs, plan: model.into_optimized()?.into_runnable()? })
}

fn run(model: &Model, feeds: &Tensors) -> TractResult<Tensors> {
    let outputs = model.plan.run(model.inputs.iter().map(|name| feeds[name].clone()).collect())?;
    Ok(model.outputs.iter().cloned().zip(outputs).collect())
}

fn ending(suffix: &str, tensors: Tensors) -> Tensors {
    tensors.into_iter().filter_map(|(name, value)| Some((name.strip_suffix(suffix)?.to_string(), value))).collect()
}

fn main() -> TractResult<()> {
    let [models, data, steps, trained] = std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("four arguments");
    let records = fs::read(data)?;
    let batch = |step: usize| -> TractResult<(Vec<i64>, TValue)> {
        let all: Vec<&[u8]> = records.chunks(1 + PIXELS).collect();
        let chosen: Vec<&[u8]> = (step * 32..step * 32 + 32).map(|i| all[i % all.len()]).collect();
        let images: Vec<u8> = chosen.iter().flat_map(|record| &record[1..]).copied().collect();
        let labels = chosen.iter().map(|record| record[0] as i64).collect();
        Ok((labels, Tensor::from_shape(&[32, 3, 32, 32], &images)?.into()))
    };

    // The first value of NAME comes out as NAME.initial, the value after a step as NAME.next (metadata: rdm.initial,
    // rdm.carried).
    let mut state = ending(".initial", run(&load(format!("{models}/init.onnx"))?, &HashMap::new())?);
    let train = load(format!("{models}/train.onnx"))?;
    for step in 0..steps.parse()? {
        let (labels, images) = batch(step)?;
        state.insert("images".into(), images);
        state.insert("labels".into(), tensor1(&labels).into());
        state.insert("learning_rate".into(), tensor0(0.05f32).into());
        let begin = Instant::now();
        let outputs = run(&train, &state)?;
        let seconds = begin.elapsed().as_secs_f64();
        let loss = outputs["loss"].cast_to_scalar::<f32>()?;
        let correct = outputs["correct"].cast_to_scalar::<i64>()?;
        println!("step {}: loss {loss:.6}, {correct} of 32 right, {seconds:.4} s", step + 1);
        state = ending(".next", outputs);
    }

    for (name, value) in &state {
        fs::write(format!("{trained}/{name}"), value.as_bytes())?;
    }
    let (labels, images) = batch(0)?;
    let outputs = run(&load(format!("{models}/infer.onnx"))?, &HashMap::from([("images".into(), images)]))?;
    let probabilities = &outputs["probabilities"];
    let rows = probabilities.to_plain_array_view::<f32>()?;
    let right = rows.outer_iter().zip(&labels).filter(|(row, &label)| row.iter().all(|p| p <= &row[label as usize]));
    println!("infer.onnx: {} of 32 right", right.count());
    fs::write(format!("{trained}/probabilities"), probabilities.as_bytes())?;
    Ok(())
}
