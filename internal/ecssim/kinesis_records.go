package ecssim

import (
	"math/big"
	"slices"
)

type putRecordInput struct {
	Ordering ignored `json:"SequenceNumberForOrdering" why:"records have the order of their arrival anyway"`
	streamRef
	recordInput
}

type recordInput struct {
	Data            []byte `json:"Data"`
	PartitionKey    string `json:"PartitionKey"`
	ExplicitHashKey string `json:"ExplicitHashKey"`
}

type putShape struct {
	ShardID        string `json:"ShardId"`
	SequenceNumber string `json:"SequenceNumber"`
}

// Limits of PutRecord and PutRecords.
const (
	maxRecord     = 1 << 20 // bytes of a record's data and key
	maxPutRecords = 500
	maxPutBytes   = 5 << 20
	maxKey        = 256 // characters
)

func (in recordInput) validate() (hash *big.Int, err error) {
	switch {
	case in.PartitionKey == "" || len([]rune(in.PartitionKey)) > maxKey:
		return nil, kinesisError(
			"ValidationException", "partitionKey failed to satisfy constraint: Member must have length from 1 to %d", maxKey,
		)
	case len(in.Data)+len(in.PartitionKey) > maxRecord:
		return nil, kinesisError(
			"ValidationException", "data failed to satisfy constraint: Member must have length less than or equal to %d",
			maxRecord,
		)
	case in.ExplicitHashKey != "":
		return parseHashKey(in.ExplicitHashKey)
	}
	return nil, nil
}

func (s *Sim) putRecord(_ request, st *stream, in putRecordInput) (any, error) {
	hash, err := in.validate()
	if err != nil {
		return nil, err
	}
	shardID, seq := st.put(in.PartitionKey, hash, in.Data)
	return putShape{shardID, formatSequence(seq)}, nil
}

type putRecordsInput struct {
	streamRef
	Records []recordInput `json:"Records"`
}

func (s *Sim) putRecords(_ request, st *stream, in putRecordsInput) (any, error) {
	if len(in.Records) < 1 || len(in.Records) > maxPutRecords {
		return nil, kinesisError(
			"ValidationException", "records failed to satisfy constraint: Member must have length from 1 to %d", maxPutRecords,
		)
	}
	size := 0
	hashes := make([]*big.Int, len(in.Records))
	for i, r := range in.Records {
		var err error
		if hashes[i], err = r.validate(); err != nil {
			return nil, err
		}
		size += len(r.Data) + len(r.PartitionKey)
	}
	if size > maxPutBytes {
		return nil, kinesisInvalid("Records size exceeds %d MB limit.", maxPutBytes>>20)
	}
	var done []putShape
	for i, r := range in.Records {
		shardID, seq := st.put(r.PartitionKey, hashes[i], r.Data)
		done = append(done, putShape{shardID, formatSequence(seq)})
	}
	return map[string]any{"FailedRecordCount": 0, "Records": done}, nil
}

type iteratorInput struct {
	streamRef
	ShardID                string `json:"ShardId"`
	ShardIteratorType      string `json:"ShardIteratorType"`
	StartingSequenceNumber string `json:"StartingSequenceNumber"`
}

func (s *Sim) getShardIterator(_ request, st *stream, in iteratorInput) (any, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.trim()
	sh, err := st.findShard(in.ShardID)
	if err != nil {
		return nil, err
	}
	next := int64(0)
	switch in.ShardIteratorType {
	case "TRIM_HORIZON":
	case "LATEST":
		next = st.lastSeq + 1
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		seq, ok := parseSequence(in.StartingSequenceNumber)
		if !ok || seq < sh.firstSeq || seq > st.lastSeq || sh.lastSeq > 0 && seq > sh.lastSeq {
			return nil, kinesisInvalid("StartingSequenceNumber %.60s used in GetShardIterator on shard %s in stream %s is "+
				"invalid.",
				in.StartingSequenceNumber, sh.id, st.name)
		}
		if next = seq; in.ShardIteratorType == "AFTER_SEQUENCE_NUMBER" {
			next++
		}
	default:
		return nil, kinesisInvalid("ShardIteratorType %.50q is not simulated.", in.ShardIteratorType)
	}
	return map[string]string{"ShardIterator": st.newIterator(sh, next).String()}, nil
}

type getRecordsInput struct {
	ShardIterator string `json:"ShardIterator"`
	StreamARN     string `json:"StreamARN"`
	Limit         *int   `json:"Limit"`
}

type recordShape struct {
	SequenceNumber              string `json:"SequenceNumber"`
	PartitionKey                string `json:"PartitionKey"`
	Data                        []byte `json:"Data"`
	ApproximateArrivalTimestamp epoch  `json:"ApproximateArrivalTimestamp"`
}

type childShape struct {
	ShardID      string   `json:"ShardId"`
	ParentShards []string `json:"ParentShards"`
	HashKeyRange keyRange `json:"HashKeyRange"`
}

// Limits of GetRecords.
const (
	maxGetRecords = 10_000
	maxGetBytes   = 10 << 20
)

func (s *Sim) getRecords(_ request, in getRecordsInput) (any, error) {
	limit := maxGetRecords
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > maxGetRecords {
		return nil, kinesisError(
			"ValidationException", "limit failed to satisfy constraint: Member must have value from 1 to %d", maxGetRecords,
		)
	}
	st, sh, it, err := s.streams.resolve(in.ShardIterator)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	if in.StreamARN != "" && in.StreamARN != st.arn {
		return nil, errIterator
	}
	got, next, done, behind := sh.read(it.Next, limit, maxGetBytes)
	records := make([]recordShape, len(got))
	for i, r := range got {
		records[i] = recordShape{formatSequence(r.seq), r.key, r.data, epoch(r.arrived)}
	}
	out := map[string]any{"Records": records, "MillisBehindLatest": behind.Milliseconds()}
	if !done {
		out["NextShardIterator"] = st.newIterator(sh, next).String()
		return out, nil
	}
	children := []childShape{}
	for _, child := range st.shards {
		parents := slices.DeleteFunc([]string{child.parentID, child.otherParentID}, func(id string) bool { return id == "" })
		if slices.Contains(parents, sh.id) {
			children = append(children, childShape{child.id, parents, keyRange{child.low.String(), child.high.String()}})
		}
	}
	out["ChildShards"] = children
	return out, nil
}
