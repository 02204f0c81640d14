/// A growing array of noncopyable values, such as descriptors; `Array` holds copyable ones only.
public struct OwnedArray<Element: ~Copyable>: ~Copyable {
    private var storage: UnsafeMutableBufferPointer<Element>
    /// The number of elements.
    public private(set) var count = 0

    /// Makes an empty array.
    public init() { storage = .allocate(capacity: 0) }

    deinit {
        storage.extracting(0..<count).deinitialize()
        storage.deallocate()
    }

    /// Adds an element at the end.
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

    /// Removes an element and moves those after it up.
    public mutating func remove(at index: Int) -> Element {
        precondition(index >= 0 && index < count)
        let element = storage.moveElement(from: index)
        _ = storage.extracting(index..<(count - 1)).moveInitialize(
            fromContentsOf: storage.extracting((index + 1)..<count))
        count -= 1
        return element
    }

    /// Removes the last element.
    public mutating func popLast() -> Element? {
        guard count > 0 else { return nil }
        count -= 1
        return storage.moveElement(from: count)
    }

    /// Reads or changes an element in place.
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
