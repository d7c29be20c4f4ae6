package store

import (
	"context"
	"errors"
	"testing"
	"time"

	logrustest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/testenv"
)

func TestLead_LogsAPersistentFailureAtGrowingIntervals(t *testing.T) {
	log, lines := logrustest.NewNullLogger()
	s := New(testenv.Etcd(t), log)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	attempts := 0
	acquire := func(
		ctx context.Context, _ *clientv3.Client, _, _ string, _ time.Duration,
		work func(context.Context, etcd.Leadership) error,
	) error {
		if attempts++; attempts <= 3 {
			return errors.New("no quorum")
		}
		return work(ctx, etcd.Leadership{})
	}
	assert.NoError(t, s.lead(ctx, acquire, "a", time.Second, func(context.Context, Term) error {
		cancel()
		return nil
	}))
	assert.Equal(t, 4, attempts)
	var messages []string
	for _, line := range lines.AllEntries() {
		messages = append(messages, line.Message)
	}
	assert.Equal(t, []string{
		"failed to take part in the election; retrying", "resumed taking part in the election",
		"leadership acquired", "leadership lost",
	}, messages)
}
