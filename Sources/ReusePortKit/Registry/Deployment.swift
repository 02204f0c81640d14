/// The options and the command of a deployed generation: enough to deploy it again, or to add copies to it.
struct Deployment: Sendable, Equatable {
    /// The generation's id.
    var generation: UInt64
    /// The generation's label, because the id may belong to another one by now; empty if it was not recorded.
    var label = ByteString()
    /// The directory to which relative paths refer.
    var directory: ByteString
    /// The options by name and value, without those that count only once. A value is empty if the option takes none.
    var settings: [Pair]
    var command: [ByteString]
    /// The text of the configuration file, so that copies that are added or started again are the same.
    var configuration: ByteString?

    struct Pair: Sendable, Equatable {
        var name: ByteString
        var value: ByteString
    }
}

extension Deployment {
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

    /// Reads the file; nil if it is damaged.
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
}
