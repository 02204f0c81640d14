/// The boot's id; empty where /proc does not say it.
let currentBoot: ByteString =
    (try? ProcFileSystem().read("sys/kernel/random/boot_id"))?.split(on: UInt8(ascii: "\n"))[0] ?? ""

extension RegistryText {
    /// Whether this boot wrote the file. Earlier versions did not say, and are believed.
    var isOfThisBoot: Bool {
        guard !currentBoot.isEmpty, let boot = fields("boot")?.first, !boot.isEmpty else { return true }
        return boot == currentBoot
    }
}
