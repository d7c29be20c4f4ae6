package store

import (
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// The limits of one transaction. etcd's own are 128 comparisons, 128 operations and 1.5 MiB.
const (
	maxCompares = 120
	maxRecords  = 100
	maxBytes    = 512 << 10
)

// write is a record and the mod revision of the value that it replaces; 0 if the key is new.
type write struct {
	state.Record
	key      string
	revision int64
	received []byte // the value before carryHealth
}

// transactionSize returns how many of writes fit into one transaction, at least one.
func transactionSize(writes []write) int {
	compares, bytes := 0, 0
	for n, w := range writes {
		compares++
		if w.revision == 0 {
			compares++ // the tombstone
		}
		bytes += len(w.key) + len(w.Value)
		if n > 0 && (compares > maxCompares || bytes > maxBytes || n >= maxRecords) {
			return n
		}
	}
	return len(writes)
}

// newTransaction puts all writes if each of them replaces the value of its revision; a new key must have no
// tombstone. Otherwise the transaction reads each write's key, and also the tombstone of a new key, in the order of
// writes.
func newTransaction(txn clientv3.Txn, writes []write) clientv3.Txn {
	var guards []clientv3.Cmp
	var puts, reads []clientv3.Op
	for _, w := range writes {
		guards = append(guards, clientv3.Compare(clientv3.ModRevision(w.key), "=", w.revision))
		puts = append(puts, clientv3.OpPut(w.key, string(w.Value)))
		reads = append(reads, clientv3.OpGet(w.key))
		if w.revision == 0 {
			tombstone := w.Key.TombstoneKey()
			guards = append(guards, clientv3.Compare(clientv3.CreateRevision(tombstone), "=", 0))
			reads = append(reads, clientv3.OpGet(tombstone, clientv3.WithKeysOnly()))
		}
	}
	return txn.If(guards...).Then(puts...).Else(reads...)
}
