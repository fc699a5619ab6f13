#include "experts/pack_header.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "base/check.h"
#include "base/checked_math.h"
#include "experts/expert_parts.h"
#include "experts/slot_layout.h"
#include "formats/json.h"

namespace switchyard::experts {
namespace {

constexpr const char* kPackAgain = "pack the model again";
constexpr std::int64_t kAnyOffset = std::int64_t{1} << 62;

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
  const auto rounded = checked_round_up(value, alignment);
  SWITCHYARD_CHECK(rounded.has_value());  // everything is bounded by kAnyOffset
  return *rounded;
}

std::uint64_t offset_field(const JsonFields& fields, std::string_view name) {
  return static_cast<std::uint64_t>(fields.integer(name, 0, kAnyOffset));
}

const nlohmann::json& list_field(const JsonFields& fields, std::string_view name,
                                 std::size_t entries) {
  const nlohmann::json* list = fields.get(name);
  if (list == nullptr || !list->is_array()) fields.fail(name, "a list", kPackAgain);
  if (list->size() != entries) {
    throw Error({.what = fmt::format("'{}' has {} entries", name, list->size()),
                 .where = fields.where(),
                 .expected = fmt::format("{}, as config.json says", entries),
                 .fix = kPackAgain});
  }
  return *list;
}

std::uint64_t checksum_field(const JsonFields& fields) {
  const std::string text = fields.text("checksum");
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || error != std::errc() || end != text.data() + text.size()) {
    fields.fail("checksum", "16 hexadecimal digits", kPackAgain);
  }
  return value;
}

Part parse_part(const nlohmann::json& json, const PartShape& expected, std::uint64_t slab_bytes,
                std::uint64_t free_from, const std::string& slab_where) {
  const std::string where = slab_where + ", part '" + expected.name + "'";
  const JsonFields fields(json, where);
  if (fields.text("name") != expected.name) fields.fail("name", expected.name, kPackAgain);
  const std::string type = fields.text("dtype");
  const auto dtype = dtype_from_name(type);
  if (!dtype || !is_expert_dtype(*dtype))
    fields.fail("dtype", "F32, F16, BF16 or a quantised type", kPackAgain);

  Part part{.name = expected.name, .dtype = *dtype, .shape = expected.shape};
  const nlohmann::json* shape = fields.get("shape");
  if (shape == nullptr || *shape != nlohmann::json(expected.shape)) {
    fields.fail("shape", shape_text(expected.shape) + ", as config.json says", kPackAgain);
  }
  part.offset = offset_field(fields, "offset");
  // The config was validated: its products fit.
  const auto elements =
      static_cast<std::uint64_t>(expected.shape[0]) * static_cast<std::uint64_t>(expected.shape[1]);
  const auto bytes = dtype_bytes(part.dtype, elements);
  if (!bytes) fields.fail("dtype", "a type whose blocks fill the rows", kPackAgain);
  part.bytes = *bytes;
  const auto end = checked_add(part.offset, part.bytes);
  if (part.offset % kPartAlignment != 0 || part.offset < free_from || !end || *end > slab_bytes) {
    throw Error({.what = fmt::format("{} bytes at offset {} of the slab", part.bytes, part.offset),
                 .where = where,
                 .expected = fmt::format("a multiple of {} from {} on, ending by {}",
                                         kPartAlignment, free_from, slab_bytes),
                 .fix = kPackAgain});
  }
  return part;
}

PackedSlab parse_slab(const nlohmann::json& json, SlabId id, std::uint64_t offset,
                      const std::vector<PartShape>& shapes, const std::string& path) {
  const std::string where = fmt::format("{}: layer {}, expert {}", path, id.layer, id.expert);
  const JsonFields fields(json, where);
  PackedSlab slab{.id = id, .checksum = checksum_field(fields)};
  const auto exactly = [&](std::string_view name, std::uint64_t value) {
    if (offset_field(fields, name) != value) fields.fail(name, std::to_string(value), kPackAgain);
    return value;
  };
  exactly("layer", id.layer);
  exactly("expert", id.expert);
  slab.offset = exactly("offset", offset);
  slab.bytes = offset_field(fields, "bytes");
  const nlohmann::json& parts = list_field(fields, "parts", shapes.size());
  std::uint64_t free_from = 0;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    slab.parts.push_back(parse_part(parts[i], shapes[i], slab.bytes, free_from, where));
    free_from = slab.parts.back().offset + slab.parts.back().bytes;
  }
  if (free_from != slab.bytes) {
    throw Error({.what = fmt::format("the slab has {} bytes", slab.bytes),
                 .where = where,
                 .expected = fmt::format("{}, where its last part ends", free_from),
                 .fix = kPackAgain});
  }
  return slab;
}

}  // namespace

bool is_pack_alignment(std::uint64_t alignment) {
  return std::has_single_bit(alignment) && alignment >= 512 && alignment <= 2 << 20;
}

std::string print_pack_header(const PackHeader& header) {
  nlohmann::ordered_json json;
  json["alignment"] = header.alignment;
  json["layers"] = header.layers;
  json["source"] = header.source;
  auto& slabs = json["slabs"] = nlohmann::ordered_json::array();
  for (const PackedSlab& slab : header.slabs) {
    nlohmann::ordered_json entry;
    entry["layer"] = slab.id.layer;
    entry["expert"] = slab.id.expert;
    entry["offset"] = slab.offset;
    entry["bytes"] = slab.bytes;
    entry["checksum"] = fmt::format("{:016x}", slab.checksum);
    for (const Part& part : slab.parts) {
      entry["parts"].push_back({{"name", part.name},
                                {"dtype", dtype_name(part.dtype)},
                                {"shape", part.shape},
                                {"offset", part.offset}});
    }
    slabs.push_back(std::move(entry));
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::uint64_t pack_data_begin(std::uint64_t header_bytes, std::uint64_t alignment) {
  return round_up(kPackPrefix + header_bytes, alignment);
}

PackHeader parse_pack_header(std::string_view text, std::uint64_t file_bytes,
                             const ModelConfig& config, const std::string& path) {
  const nlohmann::json json = parse_json(text, path);
  const JsonFields fields(json, path);
  PackHeader header;
  header.alignment = offset_field(fields, "alignment");
  if (!is_pack_alignment(header.alignment)) fields.fail("alignment", kPackAlignments, kPackAgain);
  header.layers = static_cast<int>(fields.integer("layers", 0, 1 << 20));
  if (header.layers != config.layers) {
    fields.fail("layers", fmt::format("{}, as config.json says", config.layers), kPackAgain);
  }

  std::size_t count = 0;
  for (int l = 0; l < config.layers; ++l) {
    count += static_cast<std::size_t>(experts_of_layer(config, l));
  }
  const nlohmann::json& slabs = list_field(fields, "slabs", count);
  std::uint64_t offset = pack_data_begin(text.size(), header.alignment);
  std::size_t index = 0;
  for (int l = 0; l < config.layers; ++l) {
    for (int e = 0; e < experts_of_layer(config, l); ++e) {
      const SlabId id{static_cast<std::uint32_t>(l), static_cast<std::uint32_t>(e)};
      header.slabs.push_back(parse_slab(slabs[index++], id, offset, part_shapes(config, e), path));
      const auto end = checked_add(offset, header.slabs.back().bytes);
      if (!end || *end > file_bytes) {
        throw Error({.what = "the file ends before the expert does",
                     .where = fmt::format("{}: layer {}, expert {}", path, l, e),
                     .expected = fmt::format("at least {} bytes in the file, it has {}",
                                             end.value_or(~std::uint64_t{0}), file_bytes),
                     .fix = kPackAgain});
      }
      offset = round_up(*end, header.alignment);
    }
  }
  if (offset != file_bytes) {
    throw Error({.what = fmt::format("the file has {} bytes", file_bytes),
                 .where = path,
                 .expected = fmt::format("{}, as its header says", offset),
                 .fix = kPackAgain});
  }
  return header;
}

ExpertStore open_pack_file(const ReadableFile& file, std::shared_ptr<ReadableFile> direct,
                           const ModelConfig& config) {
  const std::string& path = file.path();
  const auto broken = [&](const std::string& what, const std::string& expected) {
    return Error({.what = what, .where = path, .expected = expected, .fix = kPackAgain});
  };
  std::byte prefix[kPackPrefix];
  if (file.size() < kPackPrefix) {
    throw broken(fmt::format("the file has {} bytes", file.size()), "a pack of experts");
  }
  file.read(0, prefix);
  if (std::memcmp(prefix, kPackMagic.data(), kPackMagic.size()) != 0) {
    throw broken("the file does not begin with SWPACK01", "a pack of experts");
  }
  std::uint64_t header_bytes = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    header_bytes |= std::to_integer<std::uint64_t>(prefix[8 + i]) << (8 * i);
  }
  const std::uint64_t limit = std::min(kMaxPackHeader, file.size() - kPackPrefix);
  if (header_bytes > limit) {
    throw broken(fmt::format("the header's length is {}", header_bytes),
                 fmt::format("at most {} in a file of {} bytes", limit, file.size()));
  }
  std::string text(header_bytes, '\0');
  file.read(kPackPrefix, std::as_writable_bytes(std::span(text)));
  PackHeader header = parse_pack_header(text, file.size(), config, path);

  ExpertStore result;
  result.packed = true;
  std::vector<std::vector<Slab>> slabs(static_cast<std::size_t>(config.layers));
  result.parts.resize(slabs.size());
  for (PackedSlab& slab : header.slabs) {
    slabs[slab.id.layer].push_back(
        {.extents = {{.file = 0, .offset = slab.offset, .bytes = slab.bytes}},
         .checksum = slab.checksum});
    result.parts[slab.id.layer].push_back(std::move(slab.parts));
  }
  result.store = std::make_shared<Store>(
      std::vector<std::shared_ptr<ReadableFile>>{std::move(direct)}, std::move(slabs));
  return result;
}

}  // namespace switchyard::experts
