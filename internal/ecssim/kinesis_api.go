package ecssim

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// kinesisActions are Kinesis's actions that are simulated.
var kinesisActions = map[string]call{
	"CreateStream":          withoutLock((*Sim).createStream),
	"DeleteStream":          onStream((*Sim).deleteStream),
	"DescribeStreamSummary": onStream((*Sim).describeStreamSummary),
	"ListShards":            withoutLock((*Sim).listShards),
	"SplitShard":            onStream((*Sim).splitShard),
	"MergeShards":           onStream((*Sim).mergeShards),

	"PutRecord":        onStream((*Sim).putRecord),
	"PutRecords":       onStream((*Sim).putRecords),
	"GetShardIterator": onStream((*Sim).getShardIterator),
	"GetRecords":       withoutLock((*Sim).getRecords),
}

func kinesisError(code, format string, args ...any) error {
	return &apiError{code: code, message: fmt.Sprintf(format, args...)}
}

func kinesisInvalid(format string, args ...any) error {
	return kinesisError("InvalidArgumentException", format, args...)
}

var errIterator = kinesisInvalid("Invalid ShardIterator.")

// streamRef names the stream that a call is about.
type streamRef struct {
	StreamName string `json:"StreamName"`
	StreamARN  string `json:"StreamARN"`
}

func (in streamRef) stream() string { return cmp.Or(in.StreamARN, in.StreamName) }

type createStreamInput struct {
	StreamName string `json:"StreamName"`
	ShardCount *int   `json:"ShardCount"`
}

// onDemandShards is how many shards a stream has that is made without a number of them.
const onDemandShards = 4

func (s *Sim) createStream(_ request, in createStreamInput) (any, error) {
	shards := onDemandShards
	if in.ShardCount != nil {
		shards = *in.ShardCount
	}
	_, err := s.streams.create(in.StreamName, shards)
	return struct{}{}, err
}

func (s *Sim) deleteStream(_ request, st *stream, _ streamRef) (any, error) {
	s.streams.remove(st.name)
	return struct{}{}, nil
}

func (s *Sim) describeStreamSummary(_ request, st *stream, _ streamRef) (any, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return map[string]any{"StreamDescriptionSummary": map[string]any{
		"StreamName": st.name, "StreamARN": st.arn, "StreamStatus": "ACTIVE", "StreamCreationTimestamp": epoch(st.created),
		"RetentionPeriodHours": int(streamRetention.Hours()), "OpenShardCount": st.openShards(), "ConsumerCount": 0, "EncryptionType": "NONE",
		"EnhancedMonitoring": []any{map[string]any{"ShardLevelMetrics": []string{}}}, "StreamModeDetails": map[string]string{"StreamMode": "PROVISIONED"},
	}}, nil
}

type listShardsInput struct {
	streamRef
	NextToken             string `json:"NextToken"`
	ExclusiveStartShardID string `json:"ExclusiveStartShardId"`
	MaxResults            *int   `json:"MaxResults"`
}

type shardShape struct {
	ShardID               string   `json:"ShardId"`
	ParentShardID         string   `json:"ParentShardId,omitempty"`
	AdjacentParentShardID string   `json:"AdjacentParentShardId,omitempty"`
	HashKeyRange          keyRange `json:"HashKeyRange"`
	SequenceNumberRange   seqRange `json:"SequenceNumberRange"`
}

type keyRange struct {
	StartingHashKey string `json:"StartingHashKey"`
	EndingHashKey   string `json:"EndingHashKey"`
}

type seqRange struct {
	StartingSequenceNumber string `json:"StartingSequenceNumber"`
	EndingSequenceNumber   string `json:"EndingSequenceNumber,omitempty"`
}

func (s *Sim) listShards(_ request, in listShardsInput) (any, error) {
	name, after := in.stream(), in.ExclusiveStartShardID
	if in.NextToken != "" {
		if name != "" {
			return nil, kinesisInvalid("NextToken and StreamName cannot be provided together.")
		}
		text, err := base64.StdEncoding.DecodeString(in.NextToken)
		var ok bool
		if name, after, ok = strings.Cut(string(text), " "); err != nil || !ok {
			return nil, kinesisInvalid("NextToken is invalid.")
		}
	}
	st, err := s.streams.named(name)
	if err != nil {
		return nil, err
	}
	most := 1000
	if in.MaxResults != nil {
		most = *in.MaxResults
	}
	if most < 1 || most > 10_000 {
		return nil, kinesisInvalid("MaxResults %d is not from 1 to 10000.", most)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.trim()
	list := []shardShape{}
	for _, sh := range st.shards {
		if sh.id <= after {
			continue
		}
		if len(list) == most {
			token := base64.StdEncoding.EncodeToString([]byte(st.name + " " + list[most-1].ShardID))
			return map[string]any{"Shards": list, "NextToken": token}, nil
		}
		list = append(list, sh.shape())
	}
	return map[string]any{"Shards": list}, nil
}

func (sh *shard) shape() shardShape {
	shape := shardShape{
		ShardID: sh.id, ParentShardID: sh.parentID, AdjacentParentShardID: sh.otherParentID,
		HashKeyRange: keyRange{sh.low.String(), sh.high.String()}, SequenceNumberRange: seqRange{StartingSequenceNumber: showSeq(sh.firstSeq)},
	}
	if sh.lastSeq > 0 {
		shape.SequenceNumberRange.EndingSequenceNumber = showSeq(sh.lastSeq)
	}
	return shape
}

type reshardInput struct {
	streamRef
	ShardToSplit         string `json:"ShardToSplit"`
	NewStartingHashKey   string `json:"NewStartingHashKey"`
	ShardToMerge         string `json:"ShardToMerge"`
	AdjacentShardToMerge string `json:"AdjacentShardToMerge"`
}

func (s *Sim) splitShard(_ request, st *stream, in reshardInput) (any, error) {
	at, err := hashKey(in.NewStartingHashKey)
	if err != nil {
		return nil, err
	}
	return struct{}{}, st.split(in.ShardToSplit, at)
}

func (s *Sim) mergeShards(_ request, st *stream, in reshardInput) (any, error) {
	return struct{}{}, st.merge(in.ShardToMerge, in.AdjacentShardToMerge)
}

func hashKey(text string) (*big.Int, error) {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || len(text) > 39 || n.Sign() < 0 || n.Cmp(maxHashKey) > 0 {
		return nil, kinesisInvalid("%.50q is not a hash key from 0 to %s.", text, maxHashKey)
	}
	return n, nil
}

type putRecordInput struct {
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

// Kinesis's bounds on what is put.
const (
	maxRecord     = 1 << 20 // bytes of a record's data and key
	maxPutRecords = 500
	maxPutBytes   = 5 << 20
	maxKey        = 256 // characters
)

func (in recordInput) check() (hash *big.Int, err error) {
	switch {
	case in.PartitionKey == "" || len([]rune(in.PartitionKey)) > maxKey:
		return nil, kinesisError("ValidationException", "partitionKey failed to satisfy constraint: Member must have length from 1 to %d", maxKey)
	case len(in.Data)+len(in.PartitionKey) > maxRecord:
		return nil, kinesisError("ValidationException", "data failed to satisfy constraint: Member must have length less than or equal to %d", maxRecord)
	case in.ExplicitHashKey != "":
		return hashKey(in.ExplicitHashKey)
	}
	return nil, nil
}

func (s *Sim) putRecord(_ request, st *stream, in putRecordInput) (any, error) {
	hash, err := in.check()
	if err != nil {
		return nil, err
	}
	shardID, seq := st.put(in.PartitionKey, hash, in.Data)
	return putShape{shardID, showSeq(seq)}, nil
}

type putRecordsInput struct {
	streamRef
	Records []recordInput `json:"Records"`
}

func (s *Sim) putRecords(_ request, st *stream, in putRecordsInput) (any, error) {
	if len(in.Records) < 1 || len(in.Records) > maxPutRecords {
		return nil, kinesisError("ValidationException", "records failed to satisfy constraint: Member must have length from 1 to %d", maxPutRecords)
	}
	size := 0
	hashes := make([]*big.Int, len(in.Records))
	for i, r := range in.Records {
		var err error
		if hashes[i], err = r.check(); err != nil {
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
		done = append(done, putShape{shardID, showSeq(seq)})
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
	sh, err := st.find(in.ShardID)
	if err != nil {
		return nil, err
	}
	next := int64(0)
	switch in.ShardIteratorType {
	case "TRIM_HORIZON":
	case "LATEST":
		next = st.lastSeq + 1
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		seq, ok := readSeq(in.StartingSequenceNumber)
		if !ok || seq < sh.firstSeq || seq > st.lastSeq || sh.lastSeq > 0 && seq > sh.lastSeq {
			return nil, kinesisInvalid("StartingSequenceNumber %.60s used in GetShardIterator on shard %s in stream %s is invalid.",
				in.StartingSequenceNumber, sh.id, st.name)
		}
		if next = seq; in.ShardIteratorType == "AFTER_SEQUENCE_NUMBER" {
			next++
		}
	default:
		return nil, kinesisInvalid("ShardIteratorType %.50q is not simulated.", in.ShardIteratorType)
	}
	return map[string]string{"ShardIterator": st.at(sh, next).String()}, nil
}

type getRecordsInput struct {
	ShardIterator string `json:"ShardIterator"`
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

// Kinesis's bounds on one GetRecords.
const (
	maxGetRecords = 10_000
	maxGetBytes   = 10 << 20
)

func (s *Sim) getRecords(_ request, in getRecordsInput) (any, error) {
	most := maxGetRecords
	if in.Limit != nil {
		most = *in.Limit
	}
	if most < 1 || most > maxGetRecords {
		return nil, kinesisError("ValidationException", "limit failed to satisfy constraint: Member must have value from 1 to %d", maxGetRecords)
	}
	st, sh, it, err := s.streams.resolve(in.ShardIterator)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	got, next, done, behind := sh.read(it.Next, most, maxGetBytes)
	records := make([]recordShape, len(got))
	for i, r := range got {
		records[i] = recordShape{showSeq(r.seq), r.key, r.data, epoch(r.arrived)}
	}
	out := map[string]any{"Records": records, "MillisBehindLatest": behind.Milliseconds()}
	if !done {
		out["NextShardIterator"] = st.at(sh, next).String()
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
