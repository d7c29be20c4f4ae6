package ingest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/testenv"
)

func TestConnectivity_ReportsAnUnreadableQueue(t *testing.T) {
	missing := &types.QueueDoesNotExist{}
	for name, c := range map[string]struct {
		happens func(*Connectivity)
		want    string
	}{
		"nothing was read yet": {happens: func(*Connectivity) {}},
		"a receive waits":      {happens: func(c *Connectivity) { c.Begin(); time.Sleep(20 * time.Second) }},
		"the first receive fails": {
			happens: func(c *Connectivity) { c.Observe(missing) }, want: "the queue could not be read yet: QueueDoesNotExist",
		},
		"receives fail for a while": {happens: func(c *Connectivity) {
			c.Observe(nil)
			c.Observe(missing)
			time.Sleep(30 * time.Second)
			c.Observe(missing)
		}},
		"receives fail for too long": {
			happens: func(c *Connectivity) {
				c.Observe(nil)
				c.Observe(missing)
				time.Sleep(31 * time.Second)
				c.Observe(errors.New("credentials of arn:aws:iam::1:role/secret"))
			},
			want: "the queue has not been readable for 30 seconds: the call failed; see the log",
		},
		"receives hang": {
			happens: func(c *Connectivity) {
				c.Begin()
				c.Observe(nil) // of another poller, which then waits for the store
				time.Sleep(31 * time.Second)
			},
			want: "the queue has not been readable for 30 seconds: no response",
		},
		"the store hangs": {happens: func(c *Connectivity) {
			c.Begin()
			c.Begin()
			c.End(nil)
			c.End(nil)
			time.Sleep(time.Hour)
		}},
		"a receive has waited for long when it fails": {happens: func(c *Connectivity) {
			c.Observe(nil)
			c.Begin()
			time.Sleep(19 * time.Second)
			c.End(missing)
			time.Sleep(29 * time.Second)
			c.Observe(missing)
		}},
		"a receive hangs until its deadline": {
			happens: func(c *Connectivity) {
				c.Observe(nil)
				c.Begin()
				time.Sleep(31 * time.Second)
				c.End(context.DeadlineExceeded)
			},
			want: "the queue has not been readable for 30 seconds: no response",
		},
		"one of the pollers succeeds": {happens: func(c *Connectivity) {
			for range 100 {
				c.Observe(missing)
				time.Sleep(time.Second)
				c.Observe(nil)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				metrics := prometheus.NewRegistry()
				connectivity := NewConnectivity(metrics)
				c.happens(connectivity)
				assert.Equal(t, c.want, connectivity.Problem())
				if c.want != "" && connectivity.succeeded {
					assert.Equal(t, 31.0, testenv.Metric(t, metrics, "blox_css_ingest_unreadable_seconds"))
				}
				connectivity.Observe(nil)
				assert.Empty(t, connectivity.Problem())
			})
		})
	}
}
