/* Load an export with TensorFlow's C library alone and let serving_bytes answer for image files.

   serve EXPORT INPUT OUTPUT OUTPUT OUTPUT OUTPUT OUTPUT -- IMAGE...

   INPUT and OUTPUT are names of operations in the graph, with ":" and an index, as saved_model_cli prints them.
   Every output is printed on a line: its number of values, then the values. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

#define OUTPUTS 5

static TF_Status *status;

static void check(void) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s\n", TF_Message(status));
  exit(1);
}

static TF_Output find(TF_Graph *graph, char *name) {
  char *colon = strrchr(name, ':');
  *colon = '\0';
  TF_Output output = {TF_GraphOperationByName(graph, name), atoi(colon + 1)};
  if (output.oper == NULL) {
    fprintf(stderr, "no operation %s\n", name);
    exit(1);
  }
  return output;
}

static void read_file(const char *name, TF_TString *string) {
  FILE *file = fopen(name, "rb");
  if (file == NULL) {
    perror(name);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  char *contents = malloc(size + 1);
  if (fread(contents, 1, size, file) != (size_t)size) exit(1);
  fclose(file);
  TF_StringInit(string);
  TF_StringCopy(string, contents, size);
  free(contents);
}

int main(int count, char **words) {
  const char *tags[] = {"serve"};
  status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, words[1], tags, 1, graph, NULL, status);
  check();

  TF_Output input = find(graph, words[2]), outputs[OUTPUTS];
  for (int i = 0; i < OUTPUTS; i++) outputs[i] = find(graph, words[3 + i]);

  int64_t images = count - 4 - OUTPUTS;
  TF_Tensor *contents = TF_AllocateTensor(TF_STRING, &images, 1, images * sizeof(TF_TString));
  TF_TString *strings = TF_TensorData(contents);
  for (int64_t i = 0; i < images; i++) read_file(words[4 + OUTPUTS + i], &strings[i]);

  TF_Tensor *answers[OUTPUTS];
  TF_SessionRun(session, NULL, &input, &contents, 1, outputs, answers, OUTPUTS, NULL, 0, NULL, status);
  check();
  for (int i = 0; i < OUTPUTS; i++) {
    size_t values = TF_TensorByteSize(answers[i]) / sizeof(float);
    const float *data = TF_TensorData(answers[i]);
    printf("%zu", values);
    for (size_t j = 0; j < values; j++) printf(" %.9g", data[j]);
    printf("\n");
    TF_DeleteTensor(answers[i]);
  }
  for (int64_t i = 0; i < images; i++) TF_StringDealloc(&strings[i]);
  TF_DeleteTensor(contents);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteGraph(graph);
  TF_DeleteSessionOptions(options);
  TF_DeleteStatus(status);
  return 0;
}
