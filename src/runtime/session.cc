#include <utility>

#include "switchyard/error.h"

#include "base/check.h"
#include "runtime/session_impl.h"

namespace switchyard::runtime {
namespace {

int checked_length(const Model& model, int max_tokens) {
  const ModelOptions& options = model.options();
  const int most = options.session_tokens > 0 ? options.session_tokens : model.config().context;
  if (max_tokens < 0 || max_tokens > most) {
    throw Error({.what = "a session of " + std::to_string(max_tokens) + " tokens is not possible",
                 .where = "context length",
                 .expected = "1 to " + std::to_string(most),
                 .fix = "shorten the input or open the model with a longer context"});
  }
  return max_tokens == 0 ? most : max_tokens;
}

}  // namespace

Session::Impl::Impl(std::shared_ptr<const Model> owner, int tokens)
    : model(std::move(owner)),
      max_tokens(checked_length(*model, tokens)),
      booking_(Ledger::book(model->impl().ledger, Purpose::kv_cache,
                            kv_bytes(model->config(), max_tokens, model->impl().kv_types))),
      cache(model->config(), max_tokens, model->impl().kv_types) {}

Session::Session(std::shared_ptr<const Model> model, int max_tokens)
    : impl_(std::make_unique<Impl>(std::move(model), max_tokens)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

int Session::length() const { return impl_->length; }
int Session::max_tokens() const { return impl_->max_tokens; }

void Session::truncate(int length) {
  SWITCHYARD_CHECK(length >= 0 && length <= impl_->length);
  impl_->length = length;
}

}  // namespace switchyard::runtime
