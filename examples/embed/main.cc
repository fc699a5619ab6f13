// Runs a model inside your own program: embed MODEL_DIRECTORY PROMPT [BUDGET_IN_BYTES]
#include <cstdint>
#include <iostream>
#include <string>

#include "switchyard/error.h"
#include "switchyard/file_system.h"
#include "switchyard/local_generator.h"

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::cerr << "usage: embed MODEL_DIRECTORY PROMPT [BUDGET_IN_BYTES]\n";
    return 2;
  }
  using namespace switchyard;
  FileSystem& files = real_file_system();

  runtime::ModelOptions options;
  if (argc > 3) options.memory_budget = std::stoull(argv[3]);  // experts beyond it stay on disk
  auto model = runtime::Model::open(files, argv[1], options);
  runtime::LocalGenerator generator("local", model, Tokenizer::load(files, argv[1]));

  api::Request request;
  request.prompt = argv[2];
  request.max_tokens = 64;
  request.sampling.temperature = 0;
  const api::Result result =
      generator.generate(request, [](std::string_view text) { std::cout << text << std::flush; });

  const experts::CacheStats stats = model->expert_stats();
  std::cout << "\n"
            << result.tokens.size() << " tokens, " << stats.misses << " expert reads, "
            << model->ledger().peak() << " bytes booked at most\n";
} catch (const std::exception& e) {
  std::cerr << "embed: " << e.what() << "\n";
  return 1;
}
