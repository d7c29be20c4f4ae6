package ecssim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// streams holds the account's Kinesis data streams.
type streams struct {
	arnPrefix    string
	iteratorLife time.Duration

	mu     sync.Mutex
	byName map[string]*stream
}

func newStreams(cfg Config) *streams {
	return &streams{
		arnPrefix:    "arn:" + cfg.Partition + ":kinesis:" + cfg.Region + ":" + cfg.Account + ":stream/",
		iteratorLife: cfg.IteratorLife,
		byName:       map[string]*stream{},
	}
}

var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// IsStreamName reports whether Kinesis accepts s as the name of a stream.
func IsStreamName(s string) bool { return streamName.MatchString(s) }

// MaxShards is the most shards of a new stream.
const MaxShards = 10_000

func (all *streams) create(name string, shards int) (*stream, error) {
	if !streamName.MatchString(name) {
		return nil, kinesisError(
			"ValidationException",
			"streamName failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
		)
	}
	if shards < 1 || shards > MaxShards {
		return nil, kinesisError("InvalidArgumentException", "ShardCount %d is not from 1 to %d.", shards, MaxShards)
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.byName[name] != nil {
		return nil, kinesisError("ResourceInUseException", "Stream %s already exists.", name)
	}
	st := newStream(name, all.arnPrefix+name, shards)
	all.byName[name] = st
	return st, nil
}

func (all *streams) remove(name string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.byName, name)
}

// find returns a stream by name or ARN.
func (all *streams) find(ref string) (*stream, error) {
	name := strings.TrimPrefix(ref, all.arnPrefix)
	all.mu.Lock()
	defer all.mu.Unlock()
	if st := all.byName[name]; st != nil {
		return st, nil
	}
	return nil, kinesisError("ResourceNotFoundException", "Stream %.128s not found.", name)
}

func (all *streams) names() []string {
	all.mu.Lock()
	defer all.mu.Unlock()
	return slices.Sorted(maps.Keys(all.byName))
}

// iterator is a position in a shard. Clients see an opaque string.
type iterator struct {
	Stream  string
	Created time.Time // of the stream, to detect another one with the same name
	Shard   string
	Next    int64 // sequence number of the next read
	Issued  time.Time
	Expired int // stream.expired at the time of issue
}

func (it iterator) String() string {
	text, _ := json.Marshal(it)
	return base64.StdEncoding.EncodeToString(text)
}

// newIterator returns an iterator. The caller holds the lock of the stream.
func (st *stream) newIterator(sh *shard, next int64) iterator {
	return iterator{st.name, st.created, sh.id, next, time.Now(), st.expired}
}

// resolve returns the stream and the shard of an iterator. Unless there is an error, the caller must release the lock
// of the stream.
func (all *streams) resolve(text string) (*stream, *shard, iterator, error) {
	var it iterator
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, &it) != nil {
		return nil, nil, it, errIterator
	}
	st, err := all.find(it.Stream)
	if err != nil {
		return nil, nil, it, err
	}
	if !st.created.Equal(it.Created) {
		return nil, nil, it, errIterator
	}
	st.mu.Lock()
	st.trim()
	sh, err := st.findShard(it.Shard)
	if age := time.Since(it.Issued); err == nil && (it.Expired < st.expired || age > all.iteratorLife) {
		err = kinesisError("ExpiredIteratorException", "Iterator expired. The iterator was created at time %s while right "+
			"now it is %s which is further in the future than the tolerated delay of %d milliseconds.",
			it.Issued.UTC().Format(time.UnixDate), now().Format(time.UnixDate), all.iteratorLife.Milliseconds())
	}
	if err != nil {
		st.mu.Unlock()
		return nil, nil, it, err
	}
	return st, sh, it, nil
}

// SendEventsTo creates a stream and sends later events to it and to the queue, no longer to an earlier stream.
func (s *Sim) SendEventsTo(stream string, shards int) error {
	st, err := s.streams.create(stream, shards)
	if err != nil {
		return err
	}
	s.lock()
	defer s.unlock()
	s.stream = st
	return nil
}

// ExpireIterators expires every iterator issued for a stream.
func (s *Sim) ExpireIterators(stream string) error {
	st, err := s.streams.find(stream)
	if err != nil {
		return fmt.Errorf("stream %.128q: %w", stream, errNotFound)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.expired++
	return nil
}
