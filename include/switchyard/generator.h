// What serving and composition see: something that continues text. A local model, a remote endpoint
// and a composition are all the same type.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/sampling.h"

namespace switchyard::api {

struct Request {
  std::string prompt;
  // The prompt as ids, as a chat template's text gives them; `prompt` counts if there are none.
  std::vector<std::int32_t> prompt_tokens = {};
  int max_tokens = 128;
  SamplingOptions sampling;
  std::vector<std::string> stop;  // texts that end the answer; not part of it
  bool ignore_eos = false;
};

enum class FinishReason { stop, length, cancelled };

struct Result {
  std::string text;
  std::vector<std::int32_t> tokens;
  std::size_t prompt_tokens = 0;
  FinishReason finish = FinishReason::length;
  double prompt_seconds = 0;    // time to the first token
  double generate_seconds = 0;  // the tokens after it
};

class Generator {
 public:
  virtual ~Generator() = default;
  virtual std::string_view name() const = 0;
  // Calls `on_text` with each piece as it becomes certain.
  virtual Result generate(const Request& request,
                          const std::function<void(std::string_view)>& on_text,
                          std::stop_token stop) = 0;
};

}  // namespace switchyard::api
