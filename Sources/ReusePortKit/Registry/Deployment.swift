/// With what a generation was deployed: enough to do it again, or to add copies to it.
struct Deployment: Sendable, Equatable {
    /// The generation's number.
    var generation: UInt64
    /// And its label, for the number may have been another's by then; empty where it was not written down.
    var label = ByteString()
    /// Where relative paths in it are meant.
    var directory: ByteString
    /// The options, by name and value, without label.
    var settings: [Pair]
    var command: [ByteString]
    /// What the configuration file said: copies that are added, or started again, are to be the same.
    var configuration: ByteString?

    struct Pair: Sendable, Equatable {
        var name: ByteString
        var value: ByteString
    }
}

extension Deployment {
    init(
        generation: UInt64, directory: ByteString, _ settings: [Setting], command: [ByteString],
        configuration: ByteString?
    ) {
        self.configuration = configuration
        self.generation = generation
        self.directory = directory
        self.command = command
        self.settings = []
        for setting in settings {
            switch setting.option.key {
            // Of one time only.
            case .generation, .suspended, .quiet, .debug: continue
            default:
                self.settings.append(Pair(name: ByteString(stringLiteral: setting.option.name), value: setting.value))
            }
        }
    }

    /// The file's contents.
    var text: ByteString {
        var file = RegistryText()
        file.add("format", "1")
        file.add("generation", ByteString(decimal: generation))
        file.add("label", label)
        file.add("directory", directory)
        for one in settings { file.add("setting", one.name, one.value) }
        for word in command { file.add("word", word) }
        if let configuration { file.add("configuration", configuration) }
        return file.text
    }

    /// Reads the file; nil if it is not whole or not ours.
    init?(text: ByteString) {
        guard let file = RegistryText(text), file.number("format") == 1, let generation = file.number("generation"),
            let directory = file.fields("directory")?.first
        else { return nil }
        self.generation = generation
        self.directory = directory
        label = file.fields("label")?.first ?? ""
        configuration = file.fields("configuration")?.first
        settings = []
        command = []
        for line in file.lines {
            switch (line.key, line.fields.count) {
            case ("setting", 2): settings.append(Pair(name: line.fields[0], value: line.fields[1]))
            case ("word", 1): command.append(line.fields[0])
            default: break
            }
        }
    }

    /// What it means for copies that are added.
    func options() throws(Failure) -> Options {
        try Options(settings(with: []), command: command, isDeploy: true, configuration: configuration)
    }

    /// These settings, and those that are new: what takes one value, or bears the same name, is replaced.
    func settings(with new: [Setting]) -> [Setting] {
        var result: [Setting] = []
        for one in settings {
            guard let option = Option.named(one.name) else { continue }
            let isReplaced = new.contains { other in
                other.option.key == option.key && (!option.isRepeatable || subject(other.value) == subject(one.value))
            }
            if !isReplaced { result.append(Setting(option: option, value: one.value, origin: .commandLine)) }
        }
        return result + new
    }
}

/// The name in `NAME:ADDRESS`, `NAME:PATH` and `NAME=VALUE`; all of what has none.
private func subject(_ value: ByteString) -> ByteString {
    let end = value.bytes.firstIndex { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "=") }
    return end.map { value.prefix($0) } ?? value
}
