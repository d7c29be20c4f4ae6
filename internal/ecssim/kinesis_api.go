package ecssim

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
)

// kinesisActions maps the simulated Kinesis actions to their handlers.
var kinesisActions = map[string]actionHandler{
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

// streamRef holds the stream of a request.
type streamRef struct {
	StreamName string `json:"StreamName"`
	StreamARN  string `json:"StreamARN"`
}

func (in streamRef) stream() string { return cmp.Or(in.StreamARN, in.StreamName) }

type createStreamInput struct {
	StreamName string `json:"StreamName"`
	ShardCount *int   `json:"ShardCount"`
	Mode       *struct {
		Mode string `json:"StreamMode"`
	} `json:"StreamModeDetails"`
}

// onDemandShards is the number of shards of a stream created without ShardCount.
const onDemandShards = 4

func (s *Sim) createStream(_ request, in createStreamInput) (any, error) {
	shards, mode := onDemandShards, modeProvisioned
	if in.Mode != nil {
		mode = in.Mode.Mode
	}
	switch {
	case mode != modeProvisioned && mode != modeOnDemand:
		return nil, kinesisInvalid("StreamMode %.50q is not PROVISIONED or ON_DEMAND.", mode)
	case mode == modeOnDemand && in.ShardCount != nil:
		return nil, kinesisInvalid("A stream with the mode ON_DEMAND has no ShardCount.")
	case in.Mode == nil && in.ShardCount == nil:
		mode = modeOnDemand
	}
	if in.ShardCount != nil {
		shards = *in.ShardCount
	}
	st, err := s.streams.create(in.StreamName, shards)
	if err == nil {
		st.setMode(mode)
	}
	return struct{}{}, err
}

type deleteStreamInput struct {
	streamRef
	Enforce ignored `json:"EnforceConsumerDeletion" why:"streams have no consumers"`
}

func (s *Sim) deleteStream(_ request, st *stream, _ deleteStreamInput) (any, error) {
	s.streams.remove(st.name)
	return struct{}{}, nil
}

func (s *Sim) describeStreamSummary(_ request, st *stream, _ streamRef) (any, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return map[string]any{"StreamDescriptionSummary": map[string]any{
		"StreamName": st.name, "StreamARN": st.arn, "StreamStatus": "ACTIVE", "StreamCreationTimestamp": epoch(st.created),
		"RetentionPeriodHours": int(streamRetention.Hours()), "OpenShardCount": st.openShards(), "ConsumerCount": 0,
		"EncryptionType":     "NONE",
		"EnhancedMonitoring": []any{}, // no shard-level metrics
		"StreamModeDetails":  map[string]string{"StreamMode": cmp.Or(st.mode, modeProvisioned)},
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
	st, err := s.streams.find(name)
	if err != nil {
		return nil, err
	}
	limit := 1000
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	if limit < 1 || limit > 10_000 {
		return nil, kinesisInvalid("MaxResults %d is not from 1 to 10000.", limit)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.trim()
	list := []shardShape{}
	for _, sh := range st.shards {
		if sh.id <= after {
			continue
		}
		if len(list) == limit {
			token := base64.StdEncoding.EncodeToString([]byte(st.name + " " + list[limit-1].ShardID))
			return map[string]any{"Shards": list, "NextToken": token}, nil
		}
		list = append(list, sh.shape())
	}
	return map[string]any{"Shards": list}, nil
}

func (sh *shard) shape() shardShape {
	shape := shardShape{
		ShardID: sh.id, ParentShardID: sh.parentID, AdjacentParentShardID: sh.otherParentID,
		HashKeyRange:        keyRange{sh.low.String(), sh.high.String()},
		SequenceNumberRange: seqRange{StartingSequenceNumber: formatSequence(sh.firstSeq)},
	}
	if sh.lastSeq > 0 {
		shape.SequenceNumberRange.EndingSequenceNumber = formatSequence(sh.lastSeq)
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
	at, err := parseHashKey(in.NewStartingHashKey)
	if err != nil {
		return nil, err
	}
	return struct{}{}, st.split(in.ShardToSplit, at)
}

func (s *Sim) mergeShards(_ request, st *stream, in reshardInput) (any, error) {
	return struct{}{}, st.merge(in.ShardToMerge, in.AdjacentShardToMerge)
}

func parseHashKey(text string) (*big.Int, error) {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || len(text) > 39 || n.Sign() < 0 || n.Cmp(maxHashKey) > 0 {
		return nil, kinesisInvalid("%.50q is not a hash key from 0 to %s.", text, maxHashKey)
	}
	return n, nil
}
