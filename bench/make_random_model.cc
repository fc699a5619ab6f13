// Writes a model of any shape with random weights: speed and memory do not care what the weights
// are.
//   make_random_model /tmp/model --width 1024 --layers 8 --experts 32 --experts-per-token 4
//   --hidden 1024
#include <CLI/CLI.hpp>
#include <iostream>

#include "base/byte_size.h"
#include "support/tiny_model.h"

int main(int argc, char** argv) try {
  using namespace switchyard;
  ModelConfig c = testing_support::tiny_olmoe();
  c.vocab = 8192;
  c.width = 1024;
  c.layers = 8;
  c.head_dim = 64;
  c.context = 2048;
  MoeConfig& moe = *c.moe;
  moe.expert.hidden = 1024;
  moe.router.experts = 32;
  moe.router.experts_per_token = 4;
  std::string directory;
  std::uint64_t seed = 1;
  bool fp32 = false;
  CLI::App app("Writes an OLMoE-shaped model with random weights.");
  app.add_option("DIRECTORY", directory)->required();
  app.add_option("--width", c.width, "D")->capture_default_str();
  app.add_option("--layers", c.layers, "L")->capture_default_str();
  app.add_option("--vocab", c.vocab, "V")->capture_default_str();
  app.add_option("--context", c.context)->capture_default_str();
  app.add_option("--hidden", moe.expert.hidden, "F")->capture_default_str();
  app.add_option("--experts", moe.router.experts, "E")->capture_default_str();
  app.add_option("--experts-per-token", moe.router.experts_per_token, "K")->capture_default_str();
  app.add_option("--seed", seed)->capture_default_str();
  app.add_flag("--f32", fp32, "fp32 instead of bf16");
  CLI11_PARSE(app, argc, argv);
  c.heads = c.width / c.head_dim;
  c.kv_heads = c.heads;
  c.layer_is_moe.assign(static_cast<std::size_t>(c.layers), true);
  validate(c);
  const DType dtype = fp32 ? DType::f32 : DType::bf16;
  testing_support::write_tiny_model(real_file_system(), directory, c, seed, dtype);
  std::cout << "wrote " << directory << ": " << c.parameters() << " parameters, "
            << format_bytes(c.parameters() * dtype_size(dtype)) << '\n';
  return 0;
} catch (const std::exception& e) {
  std::cerr << "make_random_model: " << e.what() << '\n';
  return 1;
}
