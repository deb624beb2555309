// The Node-API interface of `Device`: functions whose first argument is the device that `open` returned. No function
// waits for the device.
#include <node_api.h>

#include <stdexcept>

#include "device.h"

namespace {

/** A device and its callback into JavaScript. Exists until `destroy`, or until the environment ends. */
struct Handle {
  std::unique_ptr<Device> device;
  napi_threadsafe_function tell = nullptr;
  napi_env env = nullptr;
  /** Pending reads and waits. They keep the process alive. */
  int pending = 0;
};

void throwIf(napi_env env, bool wrong, const char* message) {
  if (wrong) {
    napi_throw_error(env, "ZIGGURAT_CUDA", message);
    throw std::logic_error(message);
  }
}

struct Arguments {
  static constexpr size_t most = 6;
  napi_env env;
  napi_value values[most];
  size_t count = most;

  Arguments(napi_env environment, napi_callback_info info) : env(environment) {
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }

  double number(size_t i) const {
    double value = 0;
    throwIf(env, i >= count || napi_get_value_double(env, values[i], &value) != napi_ok, "a number is missing");
    return value;
  }
  uint32_t id(size_t i) const { return static_cast<uint32_t>(number(i)); }
  size_t size(size_t i) const {
    const double value = number(i);
    throwIf(env, !(value >= 0 && value <= 9007199254740991.0), "a size is out of range");
    return static_cast<size_t>(value);
  }
  Handle& handle() const {
    void* data = nullptr;
    throwIf(env, count < 1 || napi_get_value_external(env, values[0], &data) != napi_ok || data == nullptr,
            "a device is missing");
    Handle& handle = *static_cast<Handle*>(data);
    throwIf(env, handle.device == nullptr, "the device was closed");
    return handle;
  }
  Device& device() const { return *handle().device; }
  Bytes bytes(size_t i) const {
    napi_typedarray_type type;
    size_t length = 0, offset = 0;
    void* data = nullptr;
    napi_value buffer;
    throwIf(env,
            i >= count ||
                napi_get_typedarray_info(env, values[i], &type, &length, &data, &buffer, &offset) != napi_ok ||
                type != napi_uint8_array,
            "a Uint8Array is missing");
    const uint8_t* from = static_cast<const uint8_t*>(data);
    return length > 0 ? Bytes(from, from + length) : Bytes();
  }
  std::string text(size_t i) const {
    size_t length = 0;
    throwIf(env, i >= count || napi_get_value_string_utf8(env, values[i], nullptr, 0, &length) != napi_ok,
            "a string is missing");
    std::string value(length + 1, '\0');
    napi_get_value_string_utf8(env, values[i], &value[0], length + 1, &length);
    value.resize(length);
    return value;
  }
};

napi_value numberOf(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}
napi_value textOf(napi_env env, const std::string& value) {
  napi_value result;
  napi_create_string_utf8(env, value.data(), value.size(), &result);
  return result;
}

void hold(Handle& handle) {
  if (handle.pending++ == 0) napi_ref_threadsafe_function(handle.env, handle.tell);
}

/** Calls complete(ticket, kind, message, lost, data) on the JavaScript thread. */
void complete(napi_env env, napi_value callback, void* context, void* data) {
  const std::unique_ptr<Completion> done(static_cast<Completion*>(data));
  if (env == nullptr || callback == nullptr) return;
  Handle& handle = *static_cast<Handle*>(context);
  if (--handle.pending == 0) napi_unref_threadsafe_function(env, handle.tell);
  napi_value arguments[5], receiver, buffer;
  arguments[0] = numberOf(env, done->ticket);
  arguments[1] = numberOf(env, done->failure.kind);
  arguments[2] = textOf(env, done->failure.message);
  napi_create_array_with_length(env, done->lost.size(), &arguments[3]);
  for (size_t i = 0; i < done->lost.size(); i++)
    napi_set_element(env, arguments[3], static_cast<uint32_t>(i), numberOf(env, done->lost[i]));
  void* target = nullptr;
  if (napi_create_arraybuffer(env, done->data.size(), &target, &buffer) != napi_ok) return;
  if (!done->data.empty()) memcpy(target, done->data.data(), done->data.size());
  napi_create_typedarray(env, napi_uint8_array, done->data.size(), buffer, 0, &arguments[4]);
  napi_get_undefined(env, &receiver);
  napi_call_function(env, receiver, callback, 5, arguments, nullptr);
}

void endWithEnvironment(void* data) {
  Handle* handle = static_cast<Handle*>(data);
  handle->device.reset();
}

/** probe(): undefined, or the reason why no device can be opened. */
napi_value probe(napi_env env, napi_callback_info) {
  std::string reason;
  napi_value result;
  if (Driver::open(reason)) {
    napi_get_undefined(env, &result);
    return result;
  }
  return textOf(env, reason);
}

/** open(ordinal, complete, path of cuBLASLt or undefined for none): { device, facts }. Throws with the reason. */
napi_value open(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  std::string reason;
  const Driver* driver = Driver::open(reason);
  if (driver == nullptr) throw std::runtime_error(reason);
  napi_valuetype type = napi_undefined;
  if (given.count > 2) napi_typeof(env, given.values[2], &type);
  const std::string path = type == napi_string ? given.text(2) : "";
  auto handle = std::make_unique<Handle>();
  handle->env = env;
  napi_value name = textOf(env, "ziggurat cuda");
  throwIf(env,
          given.count < 2 || napi_create_threadsafe_function(env, given.values[1], nullptr, name, 0, 1, nullptr,
                                                             nullptr, handle.get(), complete, &handle->tell) != napi_ok,
          "a callback is missing");
  napi_unref_threadsafe_function(env, handle->tell);
  napi_threadsafe_function tell = handle->tell;
  try {
    handle->device =
        std::make_unique<Device>(*driver, static_cast<int>(given.number(0)), type == napi_string ? &path : nullptr,
                                 [tell](std::unique_ptr<Completion> done) {
                                   Completion* data = done.release();
                                   if (napi_call_threadsafe_function(tell, data, napi_tsfn_nonblocking) != napi_ok)
                                     delete data;
                                 });
  } catch (...) {
    napi_release_threadsafe_function(tell, napi_tsfn_abort);
    throw;
  }
  napi_add_env_cleanup_hook(env, endWithEnvironment, handle.get());
  const DeviceFacts& facts = handle->device->facts();
  napi_value result, external;
  napi_create_object(env, &result);
  napi_create_external(env, handle.release(), nullptr, nullptr, &external);
  napi_set_named_property(env, result, "device", external);
  napi_set_named_property(env, result, "name", textOf(env, facts.name));
  const std::pair<const char*, double> numbers[] = {
      {"major", facts.major},
      {"minor", facts.minor},
      {"multiprocessors", facts.multiprocessors},
      {"sharedBytes", facts.sharedBytes},
      {"cacheBytes", facts.cacheBytes},
      {"memoryBytes", static_cast<double>(facts.memoryBytes)},
      {"freeBytes", static_cast<double>(facts.freeBytes)},
      {"driver", facts.driver},
      {"cublasLt", facts.cublasLt ? 1 : 0},
  };
  for (const auto& entry : numbers) napi_set_named_property(env, result, entry.first, numberOf(env, entry.second));
  return result;
}

napi_value nothing() { return nullptr; }

napi_value allocate(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().allocate(given.id(1), given.size(2));
  return nothing();
}
napi_value release(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().free(given.id(1));
  return nothing();
}
napi_value write(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().write(given.id(1), given.size(2), given.bytes(3));
  return nothing();
}
napi_value read(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().read(given.id(1), given.size(2), given.size(3), given.number(4));
  hold(given.handle());
  return nothing();
}
napi_value synchronise(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().synchronise(given.number(1));
  hold(given.handle());
  return nothing();
}
napi_value load(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().load(given.id(1), given.bytes(2));
  return nothing();
}
napi_value kernel(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().kernel(given.id(1), given.id(2), given.text(3), static_cast<int>(given.number(4)));
  return nothing();
}
napi_value launch(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().launch(given.bytes(1));
  return nothing();
}
napi_value recordProgram(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().record(given.id(1), given.bytes(2));
  return nothing();
}
napi_value replayProgram(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().replay(given.id(1));
  return nothing();
}
napi_value releaseProgram(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().release(given.id(1));
  return nothing();
}
napi_value reserved(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  return numberOf(env, given.device().reserved());
}
/** close(device, ticket): releases everything in order, then completes the ticket. */
napi_value close(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  given.device().close(given.number(1));
  hold(given.handle());
  return nothing();
}
/** destroy(device): must follow the completion of the ticket of `close`. */
napi_value destroy(napi_env env, napi_callback_info info) {
  const Arguments given(env, info);
  Handle& handle = given.handle();
  handle.device.reset();
  napi_remove_env_cleanup_hook(env, endWithEnvironment, &handle);
  napi_release_threadsafe_function(handle.tell, napi_tsfn_release);
  return nothing();
}

/** Turns a C++ exception into a JavaScript one: it must not cross into Node. */
template <napi_callback Body>
napi_value guarded(napi_env env, napi_callback_info info) {
  try {
    return Body(env, info);
  } catch (const std::exception& error) {
    bool thrown = false;
    napi_is_exception_pending(env, &thrown);
    if (!thrown) napi_throw_error(env, "ZIGGURAT_CUDA", error.what());
    return nullptr;
  }
}

template <napi_callback Body>
void expose(napi_env env, napi_value exports, const char* name) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, guarded<Body>, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace

NAPI_MODULE_INIT() {
  expose<probe>(env, exports, "probe");
  expose<open>(env, exports, "open");
  expose<allocate>(env, exports, "allocate");
  expose<release>(env, exports, "free");
  expose<write>(env, exports, "write");
  expose<read>(env, exports, "read");
  expose<synchronise>(env, exports, "synchronise");
  expose<load>(env, exports, "load");
  expose<kernel>(env, exports, "kernel");
  expose<launch>(env, exports, "launch");
  expose<recordProgram>(env, exports, "record");
  expose<replayProgram>(env, exports, "replay");
  expose<releaseProgram>(env, exports, "release");
  expose<reserved>(env, exports, "reserved");
  expose<close>(env, exports, "close");
  expose<destroy>(env, exports, "destroy");
  return exports;
}
