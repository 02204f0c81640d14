import Testing

@testable import ReusePortKit

extension Sandbox {
    /// What a program that binds in Python prints, in a network of its own.
    func adopting(
        _ sockets: [ByteString], _ code: String, preload: String? = nil,
        _ location: SourceLocation = #_sourceLocation
    ) throws -> String {
        let network = try Network(self)
        let outcome = try run(
            sockets.flatMap { ["--socket", $0] } + ["--pass", "adopt"] + [
                "--", ByteString(try Tool.require("python3")), "-S", "-E", ByteString(try target("adopting.py")),
                ByteString(code),
            ], environment: Sandbox.environment + (preload.map { [ByteString("LD_PRELOAD=\($0)")] } ?? []),
            [network.step])
        #expect(outcome.errors == "", sourceLocation: location)
        return outcome.output.text
    }

    /// A shared library.
    func library(_ name: String, _ code: String) throws -> String {
        let library = self["\(name).so"], source = write("\(name).c", code)
        let words = [try Tool.require("cc"), "-shared", "-fPIC", "-pthread", "-o", library, source]
        try #require(try Sandbox.plainRun(words).exit == 0)
        return library
    }
}
