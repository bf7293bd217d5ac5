// Opens the chosen libtorch by absolute path before core.node is loaded, and reports which libtorch was really loaded.
// Links nothing but libc, so it loads on any machine. https://man7.org/linux/man-pages/man3/dlopen.3.html
#include <dlfcn.h>
#include <napi.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

// open("/absolute/torch/lib/libtorch.so"); never closed again: libtorch does not survive unloading.
Napi::Value open_library(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsString()) {
    throw Napi::TypeError::New(info.Env(), "open: expected one absolute path");
  }
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  if (path.empty() || path[0] != '/') {
    throw Napi::TypeError::New(info.Env(), "open: expected an absolute path, received " + path);
  }
  // Waiting actively, the default, makes two threads slower than one as soon as another program wants a core. libgomp
  // reads this once, while it is loaded; set here because process.env of a worker never reaches the real environment.
  setenv("OMP_WAIT_POLICY", "PASSIVE", 0);
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
    const char* reason = dlerror();
    throw Napi::Error::New(info.Env(), reason != nullptr ? reason : "dlopen failed without a reason");
  }
  return info.Env().Undefined();
}

// loaded() -> {version, path} of the libtorch in this process, or undefined while there is none.
Napi::Value loaded_library(const Napi::CallbackInfo& info) {
  void* handle = dlopen("libtorch_cpu.so", RTLD_NOLOAD | RTLD_LAZY);
  if (handle == nullptr) return info.Env().Undefined();
  void* symbol = dlsym(handle, "aoti_torch_abi_version");
  Napi::Object found = Napi::Object::New(info.Env());
  Dl_info where{};
  if (symbol != nullptr && dladdr(symbol, &where) != 0) {
    // Packed as major, minor, patch in the three highest bytes.
    const uint64_t packed = reinterpret_cast<uint64_t (*)()>(symbol)();
    const auto part = [packed](int shift) { return std::to_string((packed >> shift) & 255); };
    found.Set("version", part(56) + "." + part(48) + "." + part(40));
    found.Set("path", where.dli_fname);
  }
  // RTLD_NOLOAD counted one more reference; this gives it back and unloads nothing.
  dlclose(handle);
  return found;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New(env, open_library, "open"));
  exports.Set("loaded", Napi::Function::New(env, loaded_library, "loaded"));
  return exports;
}

}  // namespace

NODE_API_MODULE(loader, init)
