// Training recipes.
#include "switchyard/error.h"

#include "base/check.h"
#include "hostile/formats.h"
#include "train/recipe.h"

namespace switchyard::hostile {

std::vector<std::string> recipe_seeds() {
  return {R"(name = "small"
[model]
family = "olmoe"
width = 64
layers = 2
heads = 4
hidden = 32
[router]
kind = "top_k"
experts = 8
experts_per_token = 2
[data]
train = ["train.txt"]
sequence = 32
[train]
steps = 10
seed = 3
)",
          "[model]\nfamily = 'llama'\nwidth = 32\n[data]\ntrain = ['a.jsonl']\nvalid = "
          "['b.txt']\n[train]\ntokens = "
          "1000000\n"};
}

void read_recipe(std::string_view bytes) {
  const train::Recipe recipe = train::parse_recipe(std::string(bytes), "recipe.toml");
  SWITCHYARD_CHECK(train::parse_recipe(train::to_toml(recipe), "recipe.toml") == recipe);
  SWITCHYARD_CHECK(recipe.total_steps() > 0 && recipe.tokens_per_step() > 0);
  train::model_config(recipe, 300, 0);
}

}  // namespace switchyard::hostile
