package ecssim

import (
	"cmp"
	"crypto/md5"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// streamRetention is how long a stream keeps its records: Kinesis's default.
const streamRetention = 24 * time.Hour

// stream is a Kinesis data stream. Sequence numbers increase across all its shards.
type stream struct {
	name, arn string
	created   time.Time

	mu        sync.Mutex
	shards    []*shard // in creation order; trim removes closed shards without records
	lastShard int
	lastSeq   int64
	expired   int    // iterators issued at a lower count have expired
	mode      string // modeProvisioned if empty
}

// Capacity modes of a stream. The simulator changes no number of shards by itself.
const (
	modeProvisioned = "PROVISIONED"
	modeOnDemand    = "ON_DEMAND"
)

func (st *stream) setMode(mode string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.mode = mode
}

// shard is a range of a stream's hash keys. It keeps its records in order.
type shard struct {
	id                      string
	parentID, otherParentID string   // "" without a parent; otherParentID only after a merge
	low, high               *big.Int // hash keys, inclusive
	firstSeq, lastSeq       int64    // lastSeq is 0 while the shard is open
	closed                  time.Time
	records                 []streamRecord
}

// streamRecord is one record of a shard.
type streamRecord struct {
	seq     int64
	key     string
	data    []byte
	arrived time.Time
}

// maxHashKey is the highest hash key: 2^128 - 1.
var maxHashKey = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))

// newStream returns a stream whose shards divide the hash keys evenly.
func newStream(name, arn string, shards int) *stream {
	st := &stream{name: name, arn: arn, created: now(), lastShard: -1}
	low := big.NewInt(0)
	for i := range shards {
		end := new(big.Int).Mul(new(big.Int).Add(maxHashKey, big.NewInt(1)), big.NewInt(int64(i+1)))
		end.Div(end, big.NewInt(int64(shards)))
		st.addShard(low, new(big.Int).Sub(end, big.NewInt(1)), "", "")
		low = end
	}
	return st
}

func (st *stream) addShard(low, high *big.Int, parentID, otherParentID string) {
	st.lastShard++
	st.lastSeq++
	st.shards = append(st.shards, &shard{
		id: fmt.Sprintf("shardId-%012d", st.lastShard), parentID: parentID, otherParentID: otherParentID,
		low: low, high: high, firstSeq: st.lastSeq,
	})
}

// put appends a record to the shard of its hash key. Without hash, the hash key is the MD5 sum of the partition key.
func (st *stream) put(key string, hash *big.Int, data []byte) (shardID string, seq int64) {
	if hash == nil {
		sum := md5.Sum([]byte(key))
		hash = new(big.Int).SetBytes(sum[:])
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.trim()
	for _, sh := range st.shards {
		if sh.lastSeq == 0 && sh.low.Cmp(hash) <= 0 && hash.Cmp(sh.high) <= 0 {
			st.lastSeq++
			sh.records = append(sh.records, streamRecord{st.lastSeq, key, data, now()})
			return sh.id, st.lastSeq
		}
	}
	panic("no open shard for hash key " + hash.String())
}

// trim removes records and closed shards that are older than the retention.
func (st *stream) trim() {
	oldest := time.Now().Add(-streamRetention)
	for _, sh := range st.shards {
		n, _ := slices.BinarySearchFunc(sh.records, oldest, func(r streamRecord, t time.Time) int {
			return r.arrived.Compare(t)
		})
		sh.records = sh.records[n:]
	}
	st.shards = slices.DeleteFunc(st.shards, func(sh *shard) bool {
		return sh.lastSeq > 0 && len(sh.records) == 0 && sh.closed.Before(oldest)
	})
}

// read returns up to limit records from a sequence number on, and no more than fit into maxBytes. done reports that the
// shard is closed and fully read. behind is the age of the last record returned if more follow.
func (sh *shard) read(from int64, limit, maxBytes int) (
	got []streamRecord, next int64, done bool, behind time.Duration,
) {
	at, _ := slices.BinarySearchFunc(sh.records, from, func(r streamRecord, seq int64) int {
		return cmp.Compare(r.seq, seq)
	})
	rest := sh.records[at:]
	size, n := 0, 0
	for n < len(rest) && n < limit {
		if size += len(rest[n].data); size > maxBytes && n > 0 {
			break
		}
		n++
	}
	next = from
	if n > 0 {
		next = rest[n-1].seq + 1
	}
	if n > 0 && n < len(rest) {
		behind = time.Since(rest[n-1].arrived)
	}
	return slices.Clone(rest[:n]), next, sh.lastSeq > 0 && n == len(rest), behind
}

// findShard returns the shard with an id, or Kinesis's error.
func (st *stream) findShard(id string) (*shard, error) {
	for _, sh := range st.shards {
		if sh.id == id {
			return sh, nil
		}
	}
	return nil, kinesisError("ResourceNotFoundException", "Could not find shard %.128s in stream %s.", id, st.name)
}

func (st *stream) findOpenShard(id string) (*shard, error) {
	sh, err := st.findShard(id)
	if err == nil && sh.lastSeq > 0 {
		err = kinesisError("InvalidArgumentException", "Shard %s in stream %s is closed.", id, st.name)
	}
	return sh, err
}

func (st *stream) closeShard(sh *shard) {
	st.lastSeq++
	sh.lastSeq, sh.closed = st.lastSeq, now()
}

// split closes a shard and opens two in its place. The second starts at the hash key.
func (st *stream) split(id string, at *big.Int) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	sh, err := st.findOpenShard(id)
	if err != nil {
		return err
	}
	if at.Cmp(sh.low) <= 0 || at.Cmp(sh.high) > 0 {
		return kinesisError(
			"InvalidArgumentException", "NewStartingHashKey %s used in SplitShard() on shard %s is not within its range.", at,
			id,
		)
	}
	st.closeShard(sh)
	st.addShard(sh.low, new(big.Int).Sub(at, big.NewInt(1)), id, "")
	st.addShard(at, sh.high, id, "")
	return nil
}

// merge closes two adjacent shards and opens one in their place.
func (st *stream) merge(id, otherID string) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	sh, err := st.findOpenShard(id)
	if err != nil {
		return err
	}
	other, err := st.findOpenShard(otherID)
	if err != nil {
		return err
	}
	first, second := sh, other
	if first.low.Cmp(second.low) > 0 {
		first, second = second, first
	}
	if new(big.Int).Add(first.high, big.NewInt(1)).Cmp(second.low) != 0 {
		return kinesisError(
			"InvalidArgumentException", "Shards %s and %s in stream %s are not an adjacent pair.", id, otherID, st.name,
		)
	}
	st.closeShard(sh)
	st.closeShard(other)
	st.addShard(first.low, second.high, id, otherID)
	return nil
}

// openShards returns the number of shards that accept records.
func (st *stream) openShards() (n int) {
	for _, sh := range st.shards {
		if sh.lastSeq == 0 {
			n++
		}
	}
	return n
}

// records returns the number of stored records.
func (st *stream) records() (n int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.trim()
	for _, sh := range st.shards {
		n += len(sh.records)
	}
	return n
}

// Sequence numbers have 56 digits, as in Kinesis.
const (
	seqPrefix = "49"
	seqDigits = 54
)

func formatSequence(seq int64) string { return fmt.Sprintf("%s%0*d", seqPrefix, seqDigits, seq) }

func parseSequence(text string) (int64, bool) {
	digits, ok := strings.CutPrefix(text, seqPrefix)
	seq, err := strconv.ParseInt(digits, 10, 64)
	return seq, ok && err == nil && seq >= 0 && len(digits) == seqDigits
}
