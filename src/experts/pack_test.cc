#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "switchyard/expert_pack.h"

#include "base/check.h"
#include "experts/expert_parts.h"
#include "experts/pack_header.h"
#include "support/errors.h"
#include "support/faulty_file_system.h"
#include "support/memory_file_system.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"

namespace switchyard::experts {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing_support::error_of;
using testing_support::FaultyFileSystem;
using testing_support::MemoryFileSystem;
using testing_support::Operation;
using testing_support::TemporaryDirectory;

const std::string kPath = "m/experts.swpack";

// Every part of every expert through a cache, in one string.
std::string all_bytes(const ExpertStore& experts) {
  Cache cache(experts.store, {.budget = Cache::floor_bytes(*experts.store, {})});
  std::string bytes;
  for (std::uint32_t layer = 0; layer < experts.parts.size(); ++layer) {
    for (std::uint32_t expert = 0; expert < experts.parts[layer].size(); ++expert) {
      const auto pins = cache.acquire(layer, std::vector{expert});
      for (const Part& part : experts.parts[layer][expert]) {
        const auto span = pins[0].part(part.extent).subspan(part.offset, part.bytes);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(span.data()) % dtype_size(part.dtype), 0u);
        bytes.append(reinterpret_cast<const char*>(span.data()), span.size());
      }
    }
  }
  return bytes;
}

std::string expected_bytes(FileSystem& fs, const std::string& directory,
                           const ModelConfig& config) {
  const SafetensorsReader reader(fs, directory);
  const WeightNames names(config.family);
  std::string bytes;
  for (int l = 0; l < config.layers; ++l) {
    for (int e = 0; e < experts_of_layer(config, l); ++e) {
      for (const PartShape& shape : part_shapes(config, e)) {
        const TensorInfo& tensor = reader.find(names.expert(l, e, shape.name), shape.shape);
        std::string part(tensor.bytes, '\0');
        reader.read(tensor, std::as_writable_bytes(std::span(part)));
        bytes += part;
      }
    }
  }
  return bytes;
}

TEST(Pack, InPlaceAndPackedHandOutTheModelsBytes) {
  for (const ModelConfig& config :
       {testing_support::tiny_mixtral(), testing_support::tiny_olmoe(),
        testing_support::tiny_qwen2_moe(), testing_support::tiny_switchyard(),
        testing_support::tiny_duo()}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      for (const std::uint64_t alignment : {512, 4096, 65536}) {
        MemoryFileSystem fs;
        testing_support::write_tiny_model(fs, "m", config, 3, dtype);
        const std::string expected = expected_bytes(fs, "m", config);
        const ExpertStore in_place = open_experts(fs, "m", config);
        EXPECT_FALSE(in_place.packed);
        EXPECT_EQ(all_bytes(in_place), expected);

        std::uint64_t last = 0;
        write_pack(fs, "m", config, alignment, [&](std::uint64_t done, std::uint64_t total) {
          EXPECT_LT(last, done);
          EXPECT_LE(done, total);
          last = done;
        });
        const ExpertStore packed = open_experts(fs, "m", config);
        EXPECT_TRUE(packed.packed);
        EXPECT_EQ(all_bytes(packed), expected);
        EXPECT_EQ(last, 2 * packed.store->total_bytes());
        for (std::uint32_t layer = 0; layer < packed.store->layers(); ++layer) {
          EXPECT_EQ(packed.store->experts(layer), in_place.store->experts(layer));
          for (std::uint32_t expert = 0; expert < packed.store->experts(layer); ++expert) {
            const Slab& slab = packed.store->slab({layer, expert});
            EXPECT_EQ(slab.extents.size(), 1u);
            EXPECT_EQ(slab.extents[0].offset % alignment, 0u);
            EXPECT_NE(slab.checksum, 0u);
          }
        }
      }
    }
  }
}

TEST(Pack, DirectReadsOfRealFilesHandOutTheModelsBytes) {
  const TemporaryDirectory directory;
  FileSystem& fs = real_file_system();
  const ModelConfig config = testing_support::tiny_olmoe();
  const std::string model = directory / "m";
  testing_support::write_tiny_model(fs, model, config, 3, DType::bf16);
  const std::string expected = expected_bytes(fs, model, config);
  EXPECT_EQ(all_bytes(open_in_place(fs, model, config)), expected);
  write_pack(fs, model, config);
  EXPECT_EQ(all_bytes(open_packed(fs, model, config)), expected);
}

TEST(Pack, AModelWithoutExpertsIsRefused) {
  MemoryFileSystem fs;
  const ModelConfig config = testing_support::tiny_llama();
  testing_support::write_tiny_model(fs, "m", config);
  EXPECT_EQ(error_of([&] { open_in_place(fs, "m", config); }).what, "the model has no experts");
  EXPECT_EQ(error_of([&] { write_pack(fs, "m", config); }).where, "m");
}

TEST(Pack, InPlaceRefusesWhatTheConfigContradicts) {
  MemoryFileSystem fs;
  ModelConfig config = testing_support::tiny_mixtral();
  testing_support::write_tiny_model(fs, "m", config);
  config.moe->expert.hidden += 1;
  EXPECT_THAT(error_of([&] { open_in_place(fs, "m", config); }).where, HasSubstr("experts.0"));
  config = testing_support::tiny_mixtral();
  config.moe->router.experts += 1;
  EXPECT_THAT(error_of([&] { open_in_place(fs, "m", config); }).where, HasSubstr("experts.8"));
}

TEST(Pack, InPlaceRefusesOtherTypes) {
  MemoryFileSystem fs;
  const ModelConfig config = testing_support::tiny_mixtral();
  testing_support::write_tiny_model(fs, "m", config);
  const SafetensorsReader reader(fs, "m");
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : reader.tensors()) {
    writer.add(name, DType::i8, tensor.shape,
               std::vector<std::byte>(static_cast<std::size_t>(tensor.elements())));
  }
  writer.commit(fs, "m/model.safetensors");
  const auto error = error_of([&] { open_in_place(fs, "m", config); });
  EXPECT_EQ(error.what, "an expert's weights are of type I8");
  EXPECT_EQ(error.expected, "F32, F16, BF16 or a quantised type");
  EXPECT_EQ(error_of([&] { write_pack(fs, "m", config); }).what, error.what);
}

TEST(Pack, AnAlignmentThatIsNoneIsRefused) {
  MemoryFileSystem fs;
  const ModelConfig config = testing_support::tiny_mixtral();
  testing_support::write_tiny_model(fs, "m", config);
  for (const std::uint64_t alignment : {0u, 1u, 256u, 1000u, 4u << 20}) {
    EXPECT_EQ(error_of([&] { write_pack(fs, "m", config, alignment); }).expected,
              "a power of two in 512..2097152");
  }
}

// ---- A pack that does not belong here -----------------------------------------------------------

TEST(Pack, OtherWeightsThanTheModelsAreRefused) {
  MemoryFileSystem fs;
  const ModelConfig config = testing_support::tiny_mixtral();
  testing_support::write_tiny_model(fs, "m", config, 1);
  write_pack(fs, "m", config);
  testing_support::write_tiny_model(fs, "m", config, 2);  // trained on
  const auto error = error_of([&] { open_packed(fs, "m", config); });
  EXPECT_EQ(error.what, "the pack holds other weights than the model");
  EXPECT_EQ(error.where, kPath + ": layer 0, expert 0");
  testing_support::write_tiny_model(fs, "m", config, 1, DType::bf16);  // converted
  EXPECT_EQ(error_of([&] { open_packed(fs, "m", config); }).what, error.what);
  fs.remove("m/model.safetensors");
  EXPECT_TRUE(open_packed(fs, "m", config).packed);  // nothing to compare with
}

TEST(Pack, AnotherShapeThanTheConfigsIsRefused) {
  MemoryFileSystem fs;
  const ModelConfig config = testing_support::tiny_mixtral();
  testing_support::write_tiny_model(fs, "m", config);
  write_pack(fs, "m", config);
  ModelConfig other = config;
  other.moe->expert.hidden = 48;
  EXPECT_EQ(error_of([&] { open_packed(fs, "m", other); }).where,
            kPath + ": layer 0, expert 0, part 'gate'");
  other = config;
  other.moe->router.experts = 4;
  EXPECT_THAT(error_of([&] { open_packed(fs, "m", other); }).expected, HasSubstr("8, as"));
  other = config;
  other.layers = 3;
  other.layer_is_moe = {true, true, false};
  EXPECT_THAT(error_of([&] { open_packed(fs, "m", other); }).expected, HasSubstr("3, as"));
}

// ---- Broken packs -------------------------------------------------------------------------------

class BrokenPack : public ::testing::Test {
 protected:
  BrokenPack() {
    testing_support::write_tiny_model(fs_, "m", config_);
    write_pack(fs_, "m", config_);
    good_ = read_file(fs_, kPath);
    fs_.remove("m/model.safetensors");
    const std::size_t length = header_length();
    json_ = nlohmann::json::parse(good_.substr(kPackPrefix, length));
    slabs_ = good_.substr(pack_data_begin(length, kPackAlignment));
  }

  std::size_t header_length() const {
    std::uint64_t length = 0;
    std::memcpy(&length, good_.data() + 8, 8);
    return length;
  }

  // The pack with this header, padded to the length the good one has, so that slabs stay in place.
  Error::Parts error_with(const nlohmann::json& json) {
    std::string text = json.dump();
    EXPECT_LE(text.size() + kPackPrefix, good_.size() - slabs_.size());
    text.resize(good_.size() - slabs_.size() - kPackPrefix, ' ');
    std::string file = good_.substr(0, 8);
    const std::uint64_t length = text.size();
    file.append(reinterpret_cast<const char*>(&length), 8);
    return error_with(file + text + slabs_);
  }
  Error::Parts error_with(const std::string& file) {
    fs_.put(kPath, file);
    const auto error = error_of([&] { open_packed(fs_, "m", config_); });
    EXPECT_THAT(error.where, HasSubstr(kPath));
    return error;
  }
  nlohmann::json changed(const char* pointer, const nlohmann::json& value) const {
    nlohmann::json copy = json_;
    copy[nlohmann::json::json_pointer(pointer)] = value;
    return copy;
  }

  MemoryFileSystem fs_;
  ModelConfig config_ = testing_support::tiny_mixtral();
  std::string good_;
  nlohmann::json json_;
  std::string slabs_;
};

TEST_F(BrokenPack, CutAnywhere) {
  for (std::size_t bytes = 0; bytes < good_.size(); bytes += bytes < 64 ? 1 : 509) {
    error_with(good_.substr(0, bytes));
  }
  EXPECT_THAT(error_with(good_.substr(0, good_.size() - 1)).what, HasSubstr("the file"));
}

TEST_F(BrokenPack, SomethingBehindTheEnd) {
  EXPECT_EQ(error_with(good_ + std::string(4096, '\0')).what,
            "the file has " + std::to_string(good_.size() + 4096) + " bytes");
}

TEST_F(BrokenPack, WrongMagic) {
  std::string file = good_;
  file[7] = '2';
  EXPECT_EQ(error_with(file).what, "the file does not begin with SWPACK01");
}

TEST_F(BrokenPack, LyingHeaderLength) {
  for (const std::uint64_t length :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{good_.size()}, ~std::uint64_t{0}}) {
    std::string file = good_;
    std::memcpy(file.data() + 8, &length, 8);
    error_with(file);
  }
}

TEST_F(BrokenPack, HeaderThatIsNotAPacks) {
  error_with(nlohmann::json::array());
  error_with(nlohmann::json(7));
  for (const auto& [key, value] : json_.items()) {
    if (key == "source") continue;  // for people
    nlohmann::json without = json_;
    without.erase(key);
    EXPECT_THAT(error_with(without).what, HasSubstr(key));
    EXPECT_THAT(error_with(changed(("/" + key).c_str(), "text")).what, HasSubstr(key));
  }
  for (const char* key : {"layer", "expert", "offset", "bytes", "checksum", "parts"}) {
    nlohmann::json without = json_;
    without["slabs"][1].erase(key);
    EXPECT_THAT(error_with(without).what, HasSubstr(key));
  }
}

TEST_F(BrokenPack, Alignment) {
  for (const std::int64_t value : {-4096, 0, 3, 256, 1 << 22}) {
    error_with(changed("/alignment", value));
  }
}

TEST_F(BrokenPack, SlabsThatOverlapLeaveHolesOrLieOutside) {
  const std::uint64_t offset = json_["slabs"][1]["offset"];
  for (const std::uint64_t value :
       {offset - 4096, offset + 4096, offset + 1, std::uint64_t{0}, ~std::uint64_t{0}}) {
    EXPECT_EQ(error_with(changed("/slabs/1/offset", value)).where, kPath + ": layer 0, expert 1");
  }
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 40,
                                    std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    EXPECT_THAT(error_with(changed("/slabs/1/bytes", value)).where,
                HasSubstr(kPath + ": layer 0, expert 1"));
  }
}

TEST_F(BrokenPack, SlabsOutOfOrderMissingOrTwice) {
  EXPECT_EQ(error_with(changed("/slabs/1/expert", 0)).where, kPath + ": layer 0, expert 1");
  EXPECT_EQ(error_with(changed("/slabs/1/layer", 1)).where, kPath + ": layer 0, expert 1");
  nlohmann::json fewer = json_;
  fewer["slabs"].erase(3);
  EXPECT_EQ(error_with(fewer).what, "'slabs' has 15 entries");
}

TEST_F(BrokenPack, Checksums) {
  for (const char* value :
       {"", "12", "0123456789abcdeg", "0x23456789abcdef", "00123456789abcdef"}) {
    EXPECT_EQ(error_with(changed("/slabs/0/checksum", value)).expected, "16 hexadecimal digits");
  }
}

TEST_F(BrokenPack, Parts) {
  const std::string where = kPath + ": layer 0, expert 0, part 'up'";
  EXPECT_EQ(error_with(changed("/slabs/0/parts/1/name", "gate")).where, where);
  EXPECT_EQ(error_with(changed("/slabs/0/parts/1/dtype", "I8")).where, where);
  EXPECT_EQ(error_with(changed("/slabs/0/parts/1/dtype", "F33")).where, where);
  EXPECT_EQ(error_with(changed("/slabs/0/parts/1/shape", {32, 24})).where, where);
  EXPECT_EQ(error_with(changed("/slabs/0/parts/1/shape", {-24, -32})).where, where);
  EXPECT_EQ(error_with(changed("/slabs/0/parts/1/shape", "24x32")).where, where);
  const std::uint64_t offset = json_["slabs"][0]["parts"][1]["offset"];
  for (const std::uint64_t value : {std::uint64_t{0}, offset - 64, offset + 1, offset + (1 << 20),
                                    std::uint64_t{1} << 61, ~std::uint64_t{0} - 63}) {
    EXPECT_EQ(error_with(changed("/slabs/0/parts/1/offset", value)).where, where);
  }
}

TEST_F(BrokenPack, AFlippedBitIsFoundWhenTheExpertIsRead) {
  FaultyFileSystem faulty(fs_);
  const ExpertStore pack = open_packed(faulty, "m", config_);
  const Slab& slab = pack.store->slab({1, 2});
  faulty.flip_bit(kPath, slab.extents[0].offset + 100);
  Cache cache(pack.store, {.budget = 1 << 20});
  cache.acquire(1, std::vector{1u});
  const auto error = error_of([&] { cache.acquire(1, std::vector{2u}); });
  EXPECT_THAT(error.what, HasSubstr("an expert's checksum is "));
  EXPECT_EQ(error.where, kPath + ": layer 1, expert 2");
  EXPECT_EQ(error.expected, json_["slabs"][10]["checksum"]);
  faulty.heal();
  cache.acquire(1, std::vector{2u});
}

// ---- Writing ------------------------------------------------------------------------------------

TEST(PackWriter, KilledAtAnyPointLeavesTheOldPackOrTheNewOne) {
  const ModelConfig config = testing_support::tiny_mixtral();
  const auto prepare = [&](MemoryFileSystem& fs) {
    testing_support::write_tiny_model(fs, "m", config, 1);
    write_pack(fs, "m", config, 512);
  };
  int calls = 0;
  {
    MemoryFileSystem fs;
    prepare(fs);
    FaultyFileSystem counting(fs);
    write_pack(counting, "m", config, 4096);
    calls = counting.calls();
  }
  ASSERT_GT(calls, 20);
  int new_ones = 0;
  for (int n = 0; n < calls; ++n) {
    MemoryFileSystem fs;
    prepare(fs);
    FaultyFileSystem faulty(fs);
    faulty.halt_after(n);
    EXPECT_THROW(write_pack(faulty, "m", config, 4096), Error);
    fs.drop_unsynced();
    const ExpertStore pack = open_packed(fs, "m", config);
    new_ones += pack.store->slab({0, 1}).extents[0].offset % 4096 == 0 &&
                pack.store->slab({0, 2}).extents[0].offset % 4096 == 0;
  }
  EXPECT_LT(new_ones, 3);
}

TEST(PackWriter, AFullDiskIsAnErrorAndLeavesNothingBehind) {
  MemoryFileSystem fs;
  const ModelConfig config = testing_support::tiny_mixtral();
  testing_support::write_tiny_model(fs, "m", config, 1);
  FaultyFileSystem faulty(fs);
  faulty.limit_space(20'000);
  EXPECT_THROW(write_pack(faulty, "m", config), Error);
  EXPECT_FALSE(fs.exists(kPath));
  EXPECT_EQ(fs.list("m").size(), 2u);  // config.json and model.safetensors
}

}  // namespace
}  // namespace switchyard::experts
