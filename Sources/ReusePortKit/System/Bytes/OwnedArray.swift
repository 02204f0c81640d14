/// A growing array of values that have one owner each; `Array` holds copyable ones only.
public struct OwnedArray<Element: ~Copyable>: ~Copyable {
    private var storage: UnsafeMutableBufferPointer<Element>
    /// How many there are.
    public private(set) var count = 0

    /// An empty one.
    public init() { storage = .allocate(capacity: 0) }

    deinit {
        storage.extracting(0..<count).deinitialize()
        storage.deallocate()
    }

    /// Adds one behind the others.
    public mutating func append(_ element: consuming Element) {
        if count == storage.count {
            let grown = UnsafeMutableBufferPointer<Element>.allocate(capacity: max(4, count * 2))
            _ = grown.moveInitialize(fromContentsOf: storage.extracting(0..<count))
            storage.deallocate()
            storage = grown
        }
        storage.initializeElement(at: count, to: element)
        count += 1
    }

    /// Takes one out; those behind it move up.
    public mutating func remove(at index: Int) -> Element {
        precondition(index >= 0 && index < count)
        let element = storage.moveElement(from: index)
        _ = storage.extracting(index..<(count - 1)).moveInitialize(
            fromContentsOf: storage.extracting((index + 1)..<count))
        count -= 1
        return element
    }

    /// Takes the last one out.
    public mutating func popLast() -> Element? {
        guard count > 0 else { return nil }
        count -= 1
        return storage.moveElement(from: count)
    }

    /// Looks at one, or changes it, where it is.
    public subscript(index: Int) -> Element {
        _read {
            precondition(index >= 0 && index < count)
            yield storage[index]
        }
        _modify {
            precondition(index >= 0 && index < count)
            yield &storage[index]
        }
    }
}
