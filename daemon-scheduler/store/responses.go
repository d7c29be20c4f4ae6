package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Responses to requests with an Idempotency-Key are stored in the transaction that executes the request. So a request
// has either been executed and its response is stored, or neither.
const (
	DefaultResponseRetention = 24 * time.Hour
	MaxResponses             = 10_000
	maxStoredBody            = 512 << 10 // bytes, compressed; etcd takes 1.5 MiB, and the environment is in the same write
)

// Errors of requests with an Idempotency-Key.
var (
	// ErrResponseStored means that a request with the same key has been executed.
	ErrResponseStored = errors.New("a request with the Idempotency-Key was executed")
	// ErrTooManyResponses means that no more responses can be stored until older ones expire.
	ErrTooManyResponses = errors.New("too many stored responses")
)

// KeyedRequest is a request with an Idempotency-Key.
type KeyedRequest struct {
	Key         string
	Fingerprint string // equal for equal requests
	// Respond returns the response to the request when e is the environment after it. It is called again if the
	// environment changes meanwhile.
	Respond func(ctx context.Context, e environment.Environment) (status int, body []byte, err error)
}

// StoredResponse is the response to an executed request.
type StoredResponse struct {
	Fingerprint string
	Status      int
	Body        []byte // as it was sent; nil if it was too large to store
}

// responseRecord is a StoredResponse as etcd holds it.
type responseRecord struct {
	Fingerprint string
	Status      int
	Body        []byte `json:",omitempty"` // compressed with gzip; empty if it was too large
}

// WithResponses sets how long responses are stored, at least, and how many of them. It must be called before the store
// is used.
func (s *Store) WithResponses(retention time.Duration, limit int64) *Store {
	shared := retention / 24
	s.responses = responses{lease: s.NewSharedLease(retention+shared, shared), limit: limit}
	return s
}

type responses struct {
	lease *SharedLease
	limit int64
}

// responseKey hashes the Idempotency-Key, which may hold any character.
func responseKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return ResponsePrefix + hex.EncodeToString(sum[:])
}

// Response returns the response to the request with the key; false if none is stored. If none could be stored either,
// it returns ErrTooManyResponses.
func (s *Store) Response(ctx context.Context, key string) (StoredResponse, bool, error) {
	got, err := s.client.Txn(ctx).Then(
		clientv3.OpGet(responseKey(key)),
		clientv3.OpGet(ResponsePrefix, clientv3.WithPrefix(), clientv3.WithCountOnly()),
	).Commit()
	if err != nil {
		return StoredResponse{}, false, fmt.Errorf("get the response to an Idempotency-Key: %w", classify(err))
	}
	found := got.Responses[0].GetResponseRange().Kvs
	if len(found) == 0 {
		if got.Responses[1].GetResponseRange().Count >= s.responses.limit {
			return StoredResponse{}, false, ErrTooManyResponses
		}
		return StoredResponse{}, false, nil
	}
	response, err := decodeResponse(found[0].Value)
	if err != nil {
		return StoredResponse{}, false, fmt.Errorf("decode %s: %w", found[0].Key, err)
	}
	return response, true, nil
}

func encodeResponse(fingerprint string, status int, body []byte) (string, error) {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, _ = w.Write(body) // a buffer takes all
	_ = w.Close()
	record := responseRecord{Fingerprint: fingerprint, Status: status, Body: compressed.Bytes()}
	if compressed.Len() > maxStoredBody {
		record.Body = nil
	}
	value, err := json.Marshal(record)
	return string(value), err
}

func decodeResponse(value []byte) (StoredResponse, error) {
	var record responseRecord
	if err := json.Unmarshal(value, &record); err != nil {
		return StoredResponse{}, err
	}
	response := StoredResponse{Fingerprint: record.Fingerprint, Status: record.Status}
	if len(record.Body) == 0 {
		return response, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(record.Body))
	if err != nil {
		return StoredResponse{}, err
	}
	response.Body, err = io.ReadAll(r)
	return response, err
}

// write executes ops if the guard holds, and stores the response to the request, unless that is nil, as if next were
// the environment after it. It reports whether the guard held. It returns ErrResponseStored if a request with the same
// key has been executed.
func (s *Store) write(
	ctx context.Context, request *KeyedRequest, next environment.Environment, guard clientv3.Cmp, ops ...clientv3.Op,
) (done *clientv3.TxnResponse, err error) {
	if request == nil {
		return s.client.Txn(ctx).If(guard).Then(ops...).Commit()
	}
	status, body, err := request.Respond(ctx, next)
	if err != nil {
		return nil, err
	}
	value, err := encodeResponse(request.Fingerprint, status, body)
	if err != nil {
		return nil, err
	}
	key := responseKey(request.Key)
	unused := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	for {
		lease, err := s.responses.lease.Current(ctx)
		if err != nil {
			return nil, err
		}
		put := clientv3.OpPut(key, value, clientv3.WithLease(lease))
		done, err := s.client.Txn(ctx).If(guard, unused).
			Then(append(ops[:len(ops):len(ops)], put)...).
			Else(clientv3.OpGet(key, clientv3.WithCountOnly())).Commit()
		switch {
		case s.responses.lease.ForgetIfLost(lease, err):
			continue
		case err == nil && !done.Succeeded && done.Responses[0].GetResponseRange().Count > 0:
			return nil, ErrResponseStored
		}
		return done, err
	}
}
