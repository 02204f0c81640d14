import Foundation

/// A file of examples/, with the command lines in the comment at its top: what stands there is what is run.
struct Example {
    /// Its path in examples/.
    let path: String
    /// What comes before the first of them: compiling, a folder.
    let preparations: [String]
    let deploy: String
    let plain: String

    static let folder = "\(Tool.package)/examples"

    init(_ path: String) throws {
        self.path = path
        let text = try String(contentsOfFile: "\(Example.folder)/\(path)", encoding: .utf8)
        let commands = Example.commands(in: text)
        guard let first = commands.firstIndex(where: { $0.hasPrefix("reuseport-exec ") }),
            let deploy = commands.first(where: { $0.hasPrefix("reuseport-exec deploy web ") }),
            let plain = commands.first(where: { $0.hasPrefix("reuseport-exec --") })
        else { throw Unavailable(description: "\(path) does not say how it is run") }
        preparations = Array(commands[..<first])
        self.deploy = deploy
        self.plain = plain
    }

    /// The value of an option of the command line that deploys.
    func option(_ name: String) -> String? {
        let words = deploy.split(separator: " ").prefix { $0 != "--" }.map(String.init)
        return words.firstIndex(of: name).map { words[$0 + 1] }
    }

    /// Lines of a comment that are set in by four more spaces; a backslash at the end goes on with the next one.
    private static func commands(in text: String) -> [String] {
        var commands: [String] = []
        var goesOn = false
        for line in text.split(separator: "\n") {
            let stripped = line.drop { $0 == " " }
            guard let mark = ["//", "#", ";", "/*", "*"].first(where: { stripped.hasPrefix($0) }) else {
                if commands.isEmpty { continue }
                break
            }
            let rest = stripped.dropFirst(mark.count)
            let isCommand = goesOn || rest.hasPrefix("     ")
            guard isCommand else { continue }
            var words = rest.drop { $0 == " " }
            if goesOn { words = commands.removeLast() + words }
            goesOn = words.hasSuffix("\\")
            commands.append(String(goesOn ? words.dropLast() : words))
        }
        return commands
    }
}
