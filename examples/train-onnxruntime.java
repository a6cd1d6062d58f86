// Trains and predicts with ONNX Runtime for Java.
//
//   java -cp onnxruntime-1.29.0.jar train-onnxruntime.java MODELS data_batch_1.bin 10 TRAINED
//
// MODELS has the parts of a network: `rdm-export --part init`, `train` and `infer` as init.onnx, train.onnx and infer.onnx.
// Each of the ten steps takes the next 32 images; every weight becomes a file of float32 in the folder TRAINED.
// Needs com.microsoft.onnxruntime:onnxruntime and Java 17.

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.IntStream;

class Train {
  // CIFAR-10: records of a label and the pixels.
  static final int PIXELS = 3 * 32 * 32;
  static final OrtEnvironment environment = OrtEnvironment.getEnvironment();

  static Map<String, OnnxTensor> batch(byte[] records, int step) throws OrtException {
    ByteBuffer images = ByteBuffer.allocateDirect(32 * PIXELS);
    long[] labels = new long[32];
    for (int i = 0; i < 32; i++) {
      int at = (step * 32 + i) % (records.length / (1 + PIXELS)) * (1 + PIXELS);
      labels[i] = records[at];
      images.put(records, at + 1, PIXELS);
    }
    long[] shape = {32, 3, 32, 32};
    return new HashMap<>(
        Map.of(
            "images", OnnxTensor.createTensor(environment, images.rewind(), shape, OnnxJavaType.UINT8),
            "labels", OnnxTensor.createTensor(environment, labels)));
  }

  static Map<String, OnnxTensor> ending(String suffix, OrtSession.Result outputs) {
    Map<String, OnnxTensor> tensors = new HashMap<>();
    for (Map.Entry<String, OnnxValue> output : outputs) {
      String name = output.getKey();
      if (name.endsWith(suffix))
        tensors.put(name.substring(0, name.length() - suffix.length()), (OnnxTensor) output.getValue());
    }
    return tensors;
  }

  static void write(Path path, OnnxTensor tensor) throws IOException {
    FloatBuffer values = tensor.getFloatBuffer();
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.remaining()).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    Files.write(path, bytes.array());
  }

  public static void main(String[] arguments) throws OrtException, IOException {
    String models = arguments[0];
    byte[] records = Files.readAllBytes(Path.of(arguments[1]));
    int steps = Integer.parseInt(arguments[2]);
    Path trained = Path.of(arguments[3]);

    // The first value of NAME comes out as NAME.initial, the value after a step as NAME.next (metadata: rdm.initial,
    // rdm.carried).
    Map<String, OnnxTensor> state =
        ending(".initial", environment.createSession(models + "/init.onnx").run(Map.of()));
    OrtSession train = environment.createSession(models + "/train.onnx");
    OnnxTensor rate = OnnxTensor.createTensor(environment, 0.05f);
    for (int step = 0; step < steps; step++) {
      Map<String, OnnxTensor> feeds = batch(records, step);
      feeds.put("learning_rate", rate);
      feeds.putAll(state);
      long begin = System.nanoTime();
      OrtSession.Result outputs = train.run(feeds);
      double seconds = (System.nanoTime() - begin) / 1e9;
      float loss = ((OnnxTensor) outputs.get("loss").get()).getFloatBuffer().get();
      long correct = ((OnnxTensor) outputs.get("correct").get()).getLongBuffer().get();
      System.out.printf("step %d: loss %.6f, %d of 32 right, %.4f s%n", step + 1, loss, correct, seconds);
      for (OnnxTensor old : state.values()) old.close();
      state = ending(".next", outputs);
    }

    for (Map.Entry<String, OnnxTensor> weight : state.entrySet())
      write(trained.resolve(weight.getKey()), weight.getValue());
    Map<String, OnnxTensor> first = batch(records, 0);
    OrtSession.Result outputs =
        environment.createSession(models + "/infer.onnx").run(Map.of("images", first.get("images")));
    OnnxTensor probabilities = (OnnxTensor) outputs.get("probabilities").get();
    write(trained.resolve("probabilities"), probabilities);
    float[][] rows = (float[][]) probabilities.getValue();
    long[] labels = (long[]) first.get("labels").getValue();
    long right =
        IntStream.range(0, 32)
            .filter(i -> IntStream.range(0, 10).allMatch(k -> rows[i][k] <= rows[i][(int) labels[i]]))
            .count();
    System.out.printf("infer.onnx: %d of 32 right%n", right);
  }
}
