// The flags that say which element types a model is written in, as GGUF file or as directory.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "switchyard/dtype.h"

#include "cli/gguf_types.h"

namespace switchyard::cli {

class TypeFlags {
 public:
  // `flag` names the type of all ("--to"); `unless` ends its help: what holds without it.
  void add_to(CLI::App& app, const std::string& flag, const std::string& unless);

  // Both throw Error naming the flag for what such an output cannot have.
  GgufTypes of_gguf() const;
  std::optional<DType> of_directory() const;  // f32 or bf16; nullopt: not said

 private:
  std::string flag_;
  std::string all_;
  std::string experts_;
  std::vector<std::string> rules_;
};

}  // namespace switchyard::cli
