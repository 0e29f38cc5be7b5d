"""What a user would write in place of Perennial's API: FastAPI, PIL and ONNX Runtime. `npm run bench -- peers` starts it."""

import json
import os

import numpy as np
import onnxruntime
from fastapi import FastAPI, File, UploadFile
from PIL import Image

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options)
with open(os.path.join(os.path.dirname(os.environ["MODEL"]), "labels.json")) as file:
    labels = json.load(file)
app = FastAPI()


@app.post("/predict")
def predict(file: UploadFile = File(...)):
    with Image.open(file.file) as image:
        pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.BILINEAR), dtype=np.uint8)
    probabilities = session.run(["probabilities"], {"image": pixels[None]})[0][0]
    return {"prediction": labels[int(probabilities.argmax())], "probabilities": probabilities.tolist()}
