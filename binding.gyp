# The bridge for node-gyp: the one real build is CMakeLists.txt, driven by scripts/build.mjs.
{
  "targets": [{
    "target_name": "native_bridge",
    "type": "none",
    "actions": [{
      "action_name": "cmake_js",
      "inputs": ["CMakeLists.txt", "cmake/Libtorch.cmake",
                 "<!@(node <(module_root_dir)/scripts/gyp-bridge.cjs --sources)"],
      "outputs": ["<(module_root_dir)/build/Release/core.node", "<(module_root_dir)/build/Release/loader.node"],
      "action": ["node", "<(module_root_dir)/scripts/gyp-bridge.cjs", "<(module_root_dir)/build/Release"]
    }]
  }]
}
