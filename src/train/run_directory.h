// Names inside the directory of a training run.
//
//   recipe.toml        the resolved recipe
//   tokenizer.json
//   log.jsonl          one JSON object a line: steps, evaluations, warnings
//   curves.svg
//   checkpoints/step-000000200/   model.safetensors, optimizer.safetensors, state.json
//   best/step-000000150/          model.safetensors of the best evaluation
//   model/             the exported model in Hugging Face layout
//   result.json        written last: what the run came to
//   cache/             tokenised text, unless the recipe says otherwise
#pragma once

#include <string>

namespace switchyard::train {

struct RunDirectory {
  std::string root;

  std::string recipe() const { return root + "/recipe.toml"; }
  std::string log() const { return root + "/log.jsonl"; }
  std::string curves() const { return root + "/curves.svg"; }
  std::string checkpoints() const { return root + "/checkpoints"; }
  std::string best() const { return root + "/best"; }
  std::string model() const { return root + "/model"; }
  std::string result() const { return root + "/result.json"; }
  std::string cache() const { return root + "/cache"; }
};

}  // namespace switchyard::train
