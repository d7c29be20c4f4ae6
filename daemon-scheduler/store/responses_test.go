package store

import (
	"context"
	"errors"
	"math/rand"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func keyed(key, body string) *KeyedRequest {
	return &KeyedRequest{
		Key: key, Fingerprint: "of " + key,
		Respond: func(context.Context, environment.Environment) (int, []byte, error) { return 200, []byte(body), nil },
	}
}

func TestCreateOnce_StoresTheResponseWithTheChange(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	_, found, err := s.Response(t.Context(), "key")
	require.NoError(t, err)
	assert.False(t, found)
	require.NoError(t, s.CreateOnce(t.Context(), env("logs"), keyed("key", "created")))
	stored, found, err := s.Response(t.Context(), "key")
	require.NoError(t, err)
	require.True(t, found)
	assert.Equal(t, StoredResponse{Fingerprint: "of key", Status: 200, Body: []byte("created")}, stored)
	environments, revision, err := s.Scan(t.Context(), EnvironmentPrefix)
	require.NoError(t, err)
	responses, _, err := s.Scan(t.Context(), ResponsePrefix)
	require.NoError(t, err)
	assert.Equal(t, environments[0].ModRevision, responses[0].ModRevision, "one transaction")
	assert.Equal(t, revision, responses[0].ModRevision)
	assert.NotZero(t, responses[0].Lease)

	require.NoError(t, s.Delete(t.Context(), "logs"))
	require.ErrorIs(t, s.CreateOnce(t.Context(), env("logs"), keyed("key", "created")), ErrResponseStored)
	_, err = s.Get(t.Context(), "logs")
	require.ErrorIs(t, err, environment.ErrNotFound, "the request was not executed again")
	require.NoError(t, s.Create(t.Context(), env("logs")))
	require.ErrorIs(t, s.CreateOnce(t.Context(), env("logs"), keyed("other", "")), environment.ErrExists)
	_, found, err = s.Response(t.Context(), "other")
	require.NoError(t, err)
	assert.False(t, found)
}

// A repeated request must not be executed later, when it would change something.
func TestUpdateOnce_StoresTheResponseToARequestWithoutAChange(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	require.NoError(t, s.Create(t.Context(), env("logs")))
	before, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	same := func(e environment.Environment) (environment.Environment, error) { return e, nil }
	after, err := s.UpdateOnce(t.Context(), "logs", keyed("key", "body"), same)
	require.NoError(t, err)
	assert.Equal(t, before.StoredVersion, after.StoredVersion)
	_, found, err := s.Response(t.Context(), "key")
	require.NoError(t, err)
	assert.True(t, found)
	_, err = s.UpdateOnce(t.Context(), "logs", keyed("key", "body"), same)
	assert.ErrorIs(t, err, ErrResponseStored)
}

func TestUpdateOnce_ExecutesOneOfConcurrentRequests(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	require.NoError(t, s.Create(t.Context(), env("logs")))
	var executed, refused atomic.Int32
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			_, err := s.UpdateOnce(t.Context(), "logs", keyed("key", "body"),
				func(e environment.Environment) (environment.Environment, error) {
					e.DesiredTaskCount++
					return e, nil
				})
			if err == nil {
				executed.Add(1)
			} else if assert.ErrorIs(t, err, ErrResponseStored) {
				refused.Add(1)
			}
		})
	}
	group.Wait()
	assert.EqualValues(t, 1, executed.Load())
	assert.EqualValues(t, 9, refused.Load())
	stored, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	assert.Equal(t, 1, stored.DesiredTaskCount)
}

// A repetition may read the environment only after the request has changed it. No other guard refuses it then.
func TestUpdateOnce_RefusesARepetitionThatReadsTheChange(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	require.NoError(t, s.Create(t.Context(), env("logs")))
	increase := func() error {
		_, err := s.UpdateOnce(t.Context(), "logs", keyed("key", "body"),
			func(e environment.Environment) (environment.Environment, error) {
				e.DesiredTaskCount++
				return e, nil
			})
		return err
	}
	require.NoError(t, increase())
	require.ErrorIs(t, increase(), ErrResponseStored)
	stored, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	assert.Equal(t, 1, stored.DesiredTaskCount)
}

func TestUpdateOnce_WritesNothingIfTheResponseFails(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	require.NoError(t, s.Create(t.Context(), env("logs")))
	request := keyed("key", "")
	failure := errors.New("no response")
	request.Respond = func(context.Context, environment.Environment) (int, []byte, error) { return 0, nil, failure }
	_, err := s.UpdateOnce(t.Context(), "logs", request,
		func(e environment.Environment) (environment.Environment, error) {
			e.DesiredTaskCount = 5
			return e, nil
		})
	require.ErrorIs(t, err, failure)
	stored, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	assert.Zero(t, stored.DesiredTaskCount)
}

func TestResponses_Expire(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t)).WithResponses(time.Second, 10)
	require.NoError(t, s.CreateOnce(t.Context(), env("logs"), keyed("key", "created")))
	testenv.Eventually(t, func() bool {
		_, found, err := s.Response(t.Context(), "key")
		return err == nil && !found
	})
}

func TestResponses_AreLimitedInNumberAndSize(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t)).WithResponses(time.Hour, 2)
	require.NoError(t, s.CreateOnce(t.Context(), env("a"), keyed("a", strings.Repeat("alike ", 1<<20))))
	stored, _, err := s.Response(t.Context(), "a")
	require.NoError(t, err)
	assert.Len(t, stored.Body, 6<<20)

	random := make([]byte, 1<<20) // does not compress
	_, _ = rand.New(rand.NewSource(1)).Read(random)
	require.NoError(t, s.CreateOnce(t.Context(), env("b"), keyed("b", string(random))))
	stored, found, err := s.Response(t.Context(), "b")
	require.NoError(t, err)
	assert.True(t, found, "the request is known, so it is not executed again")
	assert.Nil(t, stored.Body)

	_, _, err = s.Response(t.Context(), "c")
	require.ErrorIs(t, err, ErrTooManyResponses)
	_, found, err = s.Response(t.Context(), "a")
	require.NoError(t, err)
	assert.True(t, found, "those that are stored are repeated")
}

// An etcd that was wiped or restored does not know the lease.
func TestSharedLease_IsGrantedAnewWhenEtcdLosesIt(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, testenv.Logger(t))
	require.NoError(t, s.CreateOnce(t.Context(), env("a"), keyed("a", "")))
	first, err := s.responses.lease.Current(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.CreateOnce(t.Context(), env("b"), keyed("b", "")))
	leases, err := client.Leases(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []clientv3.LeaseStatus{{ID: first}}, leases.Leases, "the records share a lease")

	_, err = client.Revoke(t.Context(), first)
	require.NoError(t, err)
	require.NoError(t, s.CreateOnce(t.Context(), env("c"), keyed("c", "")))
	_, found, err := s.Response(t.Context(), "c")
	require.NoError(t, err)
	assert.True(t, found)
}
