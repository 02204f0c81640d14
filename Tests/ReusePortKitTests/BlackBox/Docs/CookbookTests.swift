import Foundation
import Testing

@testable import ReusePortKit

/// The tasks of docs/cookbook.md and the first example of the README, carried out as they stand there, each on a machine
/// of its own: a real systemd, this machine's programs, and nothing deployed.
@Suite struct CookbookTests {
    struct Recipe: CustomTestStringConvertible {
        let testDescription: String
        let script: String

        init(_ section: String) {
            testDescription = String(section.prefix { $0 != "\n" })
            script = CookbookTests.blocks("sh", section).joined()
        }
    }

    static let recipes = ((try? document("docs/cookbook.md")) ?? "").components(separatedBy: "\n## ").dropFirst()
        .map(Recipe.init)

    /// The blocks of a language.
    fileprivate static func blocks(_ language: String, _ text: String) -> [String] {
        text.components(separatedBy: "```\(language)\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
    }

    /// `COMMAND  # TEXT` compares what the command writes.
    private func checked(_ line: Substring) -> String {
        let parts = line.components(separatedBy: "  # ")
        guard parts.count == 2 else { return String(line) }
        return "said=$(\(parts[0])); [ \"$said\" = '\(parts[1])' ] || { echo \"not \(parts[1]): $said\"; exit 1; }"
    }

    private func expectDone(_ script: String, _ location: SourceLocation = #_sourceLocation) throws {
        for tool in ["node", "nginx", "gunicorn", "runsvdir", "openssl", "useradd"] { _ = try Tool.require(tool) }
        let lines = try underSystemd(
            """
            exec 2>&1
            mkdir -p /usr/local/bin /usr/local/lib/systemd/system /etc/service
            cp "$launcher" "${launcher%/*}/reuseport-adopt.so" /usr/local/bin/
            cat >/usr/local/lib/systemd/system/reuseport-exec-boot.service <<'UNIT'
            \(try document("examples/systemd/reuseport-exec-boot.service"))
            UNIT
            systemctl daemon-reload
            runsvdir /etc/service >/dev/null 2>&1 &
            cd /
            set -e
            \(script.split(separator: "\n").map(checked).joined(separator: "\n"))
            echo done
            """)
        #expect(lines.last == "done", "\(lines)", sourceLocation: location)
    }

    @Test(arguments: recipes) func works(recipe: Recipe) throws { try expectDone(recipe.script) }

    @Test func fifteenRecipes() { #expect(Self.recipes.count == 15 && Self.recipes.allSatisfy { !$0.script.isEmpty }) }

    /// As an app that knows its descriptor, and as one that binds by itself.
    @Test func readme() throws {
        let text = try document("README.md")
        let app = try #require(Self.blocks("js", text).first)
        let commands = Self.blocks("sh", text)
        try #require(app.contains("{ fd: 3 }") && commands[1].contains("--pass adopt"))
        // The commands below that, some with a look at what has come of them.
        let seen = [
            "--copies 6": "reuseport-exec count web  # 6", "new.js": "curl -s http://127.0.0.1/  # hello, anew",
            "rollback": "curl -s http://127.0.0.1/  # hello",
            "scale web 8": "reuseport-exec count web  # 8", "resume": "curl -s http://127.0.0.1/  # hello",
            "enable": "reuseport-exec state web | grep -o 'deploys it'  # deploys it",
            "terminate": "! curl -s http://127.0.0.1/",
        ]
        let changes = commands[2].split(separator: "\n").map { line -> String in
            let command = line.components(separatedBy: "  # ")[0]
            let look = seen.first { command.contains($0.key) }?.value
            return look.map { "\(command)\n\($0)" } ?? command
        }
        try #require(changes.filter { $0.contains("\n") }.count == seen.count)
        try expectDone(
            """
            mkdir /srv/app
            cd /srv/app
            cat >app.js <<'END'
            \(app)END
            \(commands[0])
            curl -s http://127.0.0.1/  # hello
            sed -i 's/{ fd: 3 }/80/' app.js
            \(commands[1])
            curl -s http://127.0.0.1/  # hello
            reuseport-exec count web  # 4
            sed 's/hello/hello, anew/' app.js >new.js
            \(changes.joined(separator: "\n"))
            """)
    }
}
