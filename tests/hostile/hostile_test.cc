// Every format against every truncation and changed bytes of its seeds: refused with an Error
// or read, nothing else.
#include <gtest/gtest.h>

#include "switchyard/error.h"

#include "hostile/formats.h"

namespace switchyard::hostile {

void PrintTo(const Format& format, std::ostream* out) { *out << format.name; }

namespace {

class EveryFormat : public testing::TestWithParam<Format> {
 protected:
  // Reads the input. Anything but success or an Error with its parts fails the test.
  static void attack(std::string_view bytes, const std::string& how) {
    try {
      GetParam().read(bytes);
    } catch (const Error& error) {
      EXPECT_FALSE(error.parts().what.empty()) << how;
      EXPECT_FALSE(error.parts().where.empty()) << how << ": " << error.what();
      EXPECT_EQ(std::string(error.what()).find_first_of("\n\r\x1b"), std::string::npos)
          << how << ": " << error.what();
    } catch (const std::exception& error) {
      ADD_FAILURE() << how << ": " << error.what();
    }
  }
};

TEST_P(EveryFormat, SeedsAreValid) {
  for (const std::string& seed : GetParam().seeds()) EXPECT_NO_THROW(GetParam().read(seed));
}

TEST_P(EveryFormat, EveryTruncation) {
  for (const std::string& seed : GetParam().seeds()) {
    for (std::size_t size = 0; size < seed.size(); ++size) {
      attack(std::string_view(seed).substr(0, size), "cut to " + std::to_string(size) + " bytes");
    }
    attack(seed + '\0', "a zero byte more");
    attack(seed + seed, "twice");
  }
}

TEST_P(EveryFormat, ChangedBytes) {
  // Bits, and bytes that mean something in the formats: digits, signs, brackets, quotes, control
  // characters.
  constexpr std::string_view kBytes("\x00\xff\x80\x1b\n9-\"{}[],", 14);
  for (const std::string& seed : GetParam().seeds()) {
    const std::size_t step = 1 + seed.size() / 256;  // every byte of a short seed
    for (std::size_t i = 0; i < seed.size(); i += step) {
      std::string changed = seed;
      for (const char byte : kBytes) {
        changed[i] = byte;
        attack(changed, "byte " + std::to_string(i) + " set");
      }
      for (int bit = 0; bit < 8; ++bit) {
        changed[i] = static_cast<char>(seed[i] ^ (1 << bit));
        attack(changed, "byte " + std::to_string(i) + " bit " + std::to_string(bit));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, EveryFormat,
                         testing::ValuesIn(formats().begin(), formats().end()),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace switchyard::hostile
