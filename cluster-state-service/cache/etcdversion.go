package cache

import (
	"context"

	"golang.org/x/mod/semver"
)

// warnAboutOldServers logs etcd members whose progress notifications may overtake events, so that a read could miss a
// write. etcd fixed this in 3.4.25 and 3.5.8. Source: etcd's changelogs, "watch".
func (c *Cache) warnAboutOldServers(ctx context.Context) {
	for _, endpoint := range c.client.Endpoints() {
		limited, cancel := context.WithTimeout(ctx, etcdTimeout)
		status, err := c.client.Status(limited, endpoint)
		cancel()
		if err == nil && progressOvertakesEvents(status.Version) {
			c.log.WithField("endpoint", endpoint).WithField("etcd", status.Version).
				Warn("this etcd version can make reads stale; upgrade to 3.4.25, 3.5.8 or later")
		}
	}
}

func progressOvertakesEvents(version string) bool {
	version = "v" + version
	return semver.Compare(version, "v3.4.25") < 0 ||
		semver.Compare(version, "v3.5.0-0") >= 0 && semver.Compare(version, "v3.5.8") < 0
}
