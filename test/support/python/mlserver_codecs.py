"""Asks the API with MLServer's codecs and types: mlserver_codecs.py <url of the model> <image file>. Prints JSON."""

import json
import sys

import numpy as np
import requests
from mlserver.codecs import Base64Codec, NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse

url, image_file = sys.argv[1:]
red = np.zeros((2, 224, 224, 3), np.uint8)
red[..., 0] = 255


def ask(tensor):
    request = InferenceRequest(id="mlserver", inputs=[tensor])
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{url}/infer", data=request.model_dump_json(), headers=headers, timeout=30)
    answer.raise_for_status()
    return InferenceResponse.model_validate_json(answer.text)


def output(response, name):
    return next(each for each in response.outputs if each.name == name)


with open(image_file, "rb") as file:
    image = file.read()

by_pixels = ask(NumpyCodec.encode_input("image", red))
by_files = ask(Base64Codec.encode_input("image", [image, image], use_bytes=False))
metadata = MetadataModelResponse.model_validate(requests.get(url, timeout=30).json())
print(
    json.dumps(
        {
            "id": by_pixels.id,
            "shape": list(NumpyCodec.decode_output(output(by_pixels, "probabilities")).shape),
            "labels": StringCodec.decode_output(output(by_pixels, "label")),
            "labels_of_files": StringCodec.decode_output(output(by_files, "label")),
            "inputs": [each.name for each in metadata.inputs],
        }
    )
)
