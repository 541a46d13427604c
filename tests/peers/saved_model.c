/* Runs one output of a SavedModel through TensorFlow's C interface, without Python.

   saved_model FOLDER INPUT OUTPUT floats SIZE FILE     FILE: float32 values of images (any count, SIZE, SIZE, 3)
   saved_model FOLDER INPUT OUTPUT bytes FILE...        each FILE an encoded image, an empty one too

   INPUT and OUTPUT are tensor names ("predict_image:0") as saved_model.pb's signatures give them. Prints the output's
   values, one a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

static void stop(const char* what, const char* why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void check(const char* what, const TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) stop(what, TF_Message(status));
}

static TF_Output find(TF_Graph* graph, const char* tensor) {
  char name[256];
  int index = 0;
  if (sscanf(tensor, "%255[^:]:%d", name, &index) < 1) stop(tensor, "is no tensor name");
  TF_Output output = {TF_GraphOperationByName(graph, name), index};
  if (!output.oper) stop(tensor, "is not in the graph");
  return output;
}

static char* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  if (!file) stop(path, "cannot be opened");
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char* data = malloc(*size + 1);
  if (!data || fread(data, 1, *size, file) != *size) stop(path, "cannot be read");
  fclose(file);
  return data;
}

static TF_Tensor* floats(int64_t side, const char* path) {
  size_t size;
  char* data = read_file(path, &size);
  int64_t shape[4] = {(int64_t)(size / sizeof(float)) / (side * side * 3), side, side, 3};
  TF_Tensor* tensor = TF_AllocateTensor(TF_FLOAT, shape, 4, size);
  memcpy(TF_TensorData(tensor), data, size);
  free(data);
  return tensor;
}

static TF_Tensor* bytes(int count, char** paths) {
  int64_t shape[1] = {count};
  TF_Tensor* tensor = TF_AllocateTensor(TF_STRING, shape, 1, count * sizeof(TF_TString));
  TF_TString* rows = TF_TensorData(tensor);
  for (int i = 0; i < count; i++) {
    size_t size;
    char* data = read_file(paths[i], &size);
    TF_StringInit(&rows[i]);
    TF_StringCopy(&rows[i], data, size);
    free(data);
  }
  return tensor; /* deleting it frees its strings too */
}

static void print(const TF_Tensor* tensor) {
  const void* data = TF_TensorData(tensor);
  for (int64_t i = 0; i < TF_TensorElementCount(tensor); i++) {
    switch (TF_TensorType(tensor)) {
      case TF_FLOAT: printf("%.9g\n", ((const float*)data)[i]); break;
      case TF_INT32: printf("%d\n", ((const int*)data)[i]); break;
      case TF_BOOL: printf("%d\n", ((const unsigned char*)data)[i]); break;
      default: stop("output", "is neither float, int32 nor bool");
    }
  }
}

int main(int count, char** words) {
  if (count < 6) stop("usage", "saved_model FOLDER INPUT OUTPUT (floats SIZE FILE | bytes FILE...)");
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tag = "serve";
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, NULL, words[1], &tag, 1, graph, NULL, status);
  check("load", status);

  TF_Output input = find(graph, words[2]), output = find(graph, words[3]);
  TF_Tensor* value = strcmp(words[4], "bytes") ? floats(atoi(words[5]), words[count - 1])
                                               : bytes(count - 5, words + 5);
  TF_Tensor* result = NULL;
  TF_SessionRun(session, NULL, &input, &value, 1, &output, &result, 1, NULL, 0, NULL, status);
  check("run", status);
  print(result);

  TF_DeleteTensor(value);
  TF_DeleteTensor(result);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
