#include "train/generated_text.h"

#include <array>
#include <fmt/format.h>
#include <string_view>

#include "base/random.h"

namespace switchyard::train {
namespace {

constexpr std::array<std::string_view, 12> kNames = {"Ada",  "Ben",  "Cleo", "Dan",  "Eve", "Finn",
                                                     "Gwen", "Hugo", "Iris", "Jack", "Kim", "Leo"};
constexpr std::array<std::string_view, 10> kThings = {"lamp", "kite", "boat", "drum",  "stone",
                                                      "cake", "book", "ball", "flute", "map"};
constexpr std::array<std::string_view, 8> kColors = {"red",   "blue",  "green",  "old",
                                                     "small", "shiny", "broken", "heavy"};
constexpr std::array<std::string_view, 7> kPlaces = {"garden", "kitchen", "forest", "harbour",
                                                     "attic",  "market",  "river"};
constexpr std::array<std::string_view, 6> kVerbs = {"found",   "dropped", "painted",
                                                    "carried", "hid",     "fixed"};
constexpr std::array<std::string_view, 5> kMoods = {"happy", "tired", "proud", "angry", "curious"};

template <std::size_t N>
std::string_view pick(const std::array<std::string_view, N>& words, Random& random) {
  return words[random.below(N)];
}

std::string story(Random& random) {
  const std::string_view hero = pick(kNames, random);
  const std::string_view friend_name = pick(kNames, random);
  const std::string_view thing = pick(kThings, random);
  const std::string_view color = pick(kColors, random);
  const std::string_view place = pick(kPlaces, random);
  std::string text = fmt::format("One day {} went to the {}. There {} {} a {} {}.\n", hero, place,
                                 hero, pick(kVerbs, random), color, thing);
  for (std::uint64_t i = 0, lines = random.below(3); i < lines; ++i) {
    text += fmt::format("\"Look at the {} {}!\" said {}. {} was {}.\n", color, thing, hero,
                        friend_name, pick(kMoods, random));
  }
  return text + fmt::format("{} and {} took the {} home from the {}.\n\n", hero, friend_name, thing,
                            place);
}

}  // namespace

std::string generate_text(std::size_t bytes, std::uint64_t seed) {
  Random random(RandomKey{.seed = seed});
  std::string text;
  while (text.size() < bytes) text += story(random);
  return text;
}

}  // namespace switchyard::train
