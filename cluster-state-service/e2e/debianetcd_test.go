package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// Debian's etcd sends progress notifications before events that they cover. Streams that resume in the past while
// records change still contain every change.
func TestStream_ResumesOnDebiansEtcdWithoutLoss(t *testing.T) {
	const streams, history, perRevision = 20, 200, 10
	w := newSystem(t, ecssim.Config{})
	w.etcd = testenv.DebianEtcd(t)
	w.client = w.etcd.Client()
	var arns []string
	put := func() (revision int64) {
		var puts []clientv3.Op
		for range perRevision {
			arn := fmt.Sprintf("%stask/prod/%032x", account, len(arns))
			body := testenv.Event(t, "task-ec2-running.json", runningTask, arn)
			arns, puts = append(arns, arn), append(puts, clientv3.OpPut("ecs/task/prod/"+arn, string(body)))
		}
		done, err := w.client.Txn(t.Context()).Then(puts...).Commit()
		require.NoError(t, err)
		return done.Header.Revision
	}
	var revisions []int64
	for range history { // before the cache loads, so that etcd replays these
		revisions = append(revisions, put())
	}
	c := w.start().ready()
	var resumed errgroup.Group
	received := make([][]string, streams)
	for n := range streams {
		answer, _ := c.openStream(fmt.Sprintf("/v1/stream/tasks?entityVersion=%d", revisions[n*history/streams]))
		resumed.Go(func() (err error) {
			received[n], err = readUntil(newLines(answer.Body), fmt.Sprintf("%032x", perRevision*(history+streams)-1))
			return err
		})
		put()
	}
	require.NoError(t, resumed.Wait())
	for n, got := range received {
		assert.Equal(t, arns[perRevision*(n*history/streams):], got, "stream %d", n)
	}
	_, metrics := c.do(http.MethodGet, "/metrics")
	assert.Contains(t, metrics, "blox_css_etcd_watch_order_violations_total 0")
}

// readUntil returns the ARNs of a stream's tasks, up to the task whose id is last.
func readUntil(stream *lines, last string) (arns []string, err error) {
	for {
		text, err := stream.next()
		if err != nil {
			return nil, err
		}
		var line struct{ Entity struct{ TaskARN string } }
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			return nil, err
		}
		arns = append(arns, line.Entity.TaskARN)
		if strings.HasSuffix(line.Entity.TaskARN, last) {
			return arns, nil
		}
	}
}
