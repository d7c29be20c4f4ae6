package etcd

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/redact"
)

const (
	usageInterval = 30 * time.Second // between two reads of all members
	usageTimeout  = 5 * time.Second  // of one member
)

// usage measures how much of its space each member of etcd uses.
type usage struct {
	size, quota, outOfSpace *prometheus.GaugeVec
}

func newUsage(registerer prometheus.Registerer) *usage {
	factory := promauto.With(registerer)
	gauge := func(name, help string) *prometheus.GaugeVec {
		return factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: name, Help: help + " A member that does not respond has no series.",
		}, []string{"endpoint"})
	}
	return &usage{
		size: gauge("etcd_database_size_bytes", "Size of etcd's database file, by member."),
		quota: gauge("etcd_database_quota_bytes",
			"Size at which etcd rejects writes, by member. etcd reports it since version 3.6."),
		outOfSpace: gauge("etcd_out_of_space", "1 if etcd rejects writes for lack of space, else 0, by member."),
	}
}

// run measures all members at an interval until ctx ends.
func (u *usage) run(ctx context.Context, client *clientv3.Client) {
	for {
		var members sync.WaitGroup
		for _, endpoint := range client.Endpoints() {
			members.Go(func() { u.measure(ctx, client, endpoint) })
		}
		members.Wait()
		if !backoff.Sleep(ctx, usageInterval) {
			return
		}
	}
}

// measure reads one member. Its own failures reach the users of etcd, which log them.
func (u *usage) measure(ctx context.Context, client *clientv3.Client, endpoint string) {
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	label := redact.URL(endpoint)
	status, err := client.Status(ctx, endpoint)
	if err != nil {
		for _, gauge := range []*prometheus.GaugeVec{u.size, u.quota, u.outOfSpace} {
			gauge.DeleteLabelValues(label)
		}
		return
	}
	u.size.WithLabelValues(label).Set(float64(status.DbSize))
	if status.DbSizeQuota > 0 {
		u.quota.WithLabelValues(label).Set(float64(status.DbSizeQuota))
	}
	full := 0.0
	if slices.ContainsFunc(status.Errors, isNoSpace) {
		full = 1
	}
	u.outOfSpace.WithLabelValues(label).Set(full)
}

// isNoSpace reports whether an error of a member's status is the alarm that makes it reject writes.
func isNoSpace(text string) bool {
	return strings.Contains(text, etcdserverpb.AlarmType_NOSPACE.String())
}
