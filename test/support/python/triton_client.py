"""Asks the API with Triton's HTTP client: triton_client.py <host:port> <model> <image file>. Prints what it got as JSON."""

import json
import sys

import numpy as np
import tritonclient.http as http

address, model, image_file = sys.argv[1:]
client = http.InferenceServerClient(address)
red = np.zeros((2, 224, 224, 3), np.uint8)
red[..., 0] = 255


def ask(array, datatype, binary=True, **options):
    tensor = http.InferInput("image", array.shape, datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return client.infer(model, [tensor], **options)


def shown(result, name):
    array = result.as_numpy(name)
    return [each.decode() if isinstance(each, bytes) else each for each in array.ravel().tolist()]


def refusal(call):
    try:
        call()
    except http.InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return None


def probabilities(result):
    return result.as_numpy("probabilities").tolist()


with open(image_file, "rb") as file:
    image = file.read()

everything = ask(red, "UINT8", request_id="from the test")
files = np.array([image, image, image], dtype=np.object_)
two = [http.InferRequestedOutput("label", binary_data=False), http.InferRequestedOutput("confidence")]
ranking = [http.InferRequestedOutput("probabilities", class_count=2)]
answer = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": [client.is_model_ready(model), client.is_model_ready(model, "1"), client.is_model_ready("other")],
    "server": client.get_server_metadata(),
    "model": client.get_model_metadata(model, "1"),
    "id": everything.get_response()["id"],
    "version": everything.get_response()["model_version"],
    "outputs": {each["name"]: shown(everything, each["name"]) for each in everything.get_response()["outputs"]},
    "probabilities": {
        "UINT8": probabilities(everything),
        "UINT8 in JSON": probabilities(ask(red, "UINT8", binary=False)),
        "UINT8 gzip": probabilities(ask(red, "UINT8", request_compression_algorithm="gzip")),
        "UINT8 deflate": probabilities(
            ask(red, "UINT8", request_compression_algorithm="deflate", response_compression_algorithm="gzip")
        ),
        "FP16": probabilities(ask(red.astype(np.float16), "FP16")),
        "FP32": probabilities(ask(red.astype(np.float32), "FP32")),
        "FP64": probabilities(ask(red.astype(np.float64), "FP64")),
        "INT16": probabilities(ask(red.astype(np.int16), "INT16")),
        "INT32": probabilities(ask(red.astype(np.int32), "INT32")),
        "INT64": probabilities(ask(red.astype(np.int64), "INT64")),
        "UINT64": probabilities(ask(red.astype(np.uint64), "UINT64")),
    },
    "files": shown(ask(files, "BYTES"), "label"),
    "requested": [each["name"] for each in ask(red, "UINT8", outputs=two).get_response()["outputs"]],
    "ranking": shown(ask(red, "UINT8", outputs=ranking), "probabilities"),
    "refused": {
        "unknown output": refusal(lambda: ask(red, "UINT8", outputs=[http.InferRequestedOutput("logits")])),
        "unknown model": refusal(lambda: client.get_model_metadata("other")),
        "too late": refusal(lambda: ask(red, "UINT8", timeout=1)),
        "NaN": refusal(lambda: ask(np.full((1, 224, 224, 3), np.nan, np.float32), "FP32")),
    },
}
print(json.dumps(answer))
