import Testing

@testable import ReusePortKit

extension Sandbox {
    /// What a program that binds in Python prints, in a network of its own.
    func adopting(
        _ sockets: [ByteString], _ code: String, _ location: SourceLocation = #_sourceLocation
    ) throws -> String {
        let network = try Network(self)
        let outcome = try run(
            sockets.flatMap { ["--socket", $0] } + ["--pass", "adopt"] + [
                "--", ByteString(try Tool.require("python3")), "-S", "-E", ByteString(try target("adopting.py")),
                ByteString(code),
            ], [network.step])
        #expect(outcome.errors == "", sourceLocation: location)
        return outcome.output.text
    }
}
