import { create } from "webgpu";
import { type Requirement, vulkan } from "../../../scripts/requirements.js";

// WebGPU in Node, on the Vulkan driver that ZIGGURAT_VULKAN names or on SwiftShader: one instance for a test file, kept
// as long as it runs.

if (vulkan.path !== undefined) process.env.VK_DRIVER_FILES = vulkan.path;
process.env.XDG_RUNTIME_DIR ??= "/tmp";

// SwiftShader compiles the clearing of workgroup memory word by word, which takes seconds a kernel. It is not needed:
// no kernel reads workgroup memory that it has not written.
export const gpu: GPU = create(["enable-dawn-features=disable_workgroup_init"]);

const adapter = vulkan.path === undefined ? null : await gpu.requestAdapter();

/** An adapter to test on: it needs the driver and the Vulkan loader. */
export const adapterThere: Requirement = { ...vulkan, path: adapter ? vulkan.path : undefined };
