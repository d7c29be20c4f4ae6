package state

// Record is an entity on its way into the store.
type Record struct {
	Key     Key
	Version int64  // ECS's own count of changes
	Value   []byte // the event's JSON as received, or the same envelope around what Describe returned
}

// StoredVersion is what is believed stored under a key. The zero value means: nothing.
type StoredVersion struct {
	Version  int64 // detail.version of the stored record
	Revision int64 // etcd's mod revision; 0 when the key is absent
}
