package cache

import (
	"context"

	"golang.org/x/mod/semver"
)

// warnOfOldServers tells of members whose progress notifications may overtake events, so that a read could miss a write.
// Fixed in etcd 3.4.25 and 3.5.8. Source: etcd's changelogs, "watch".
func (v *Cache) warnOfOldServers(ctx context.Context) {
	for _, endpoint := range v.client.Endpoints() {
		limited, cancel := context.WithTimeout(ctx, patience)
		status, err := v.client.Status(limited, endpoint)
		cancel()
		if err == nil && progressOvertakesEvents(status.Version) {
			v.log.WithField("endpoint", endpoint).WithField("etcd", status.Version).
				Warn("this version of etcd can make reads stale; 3.4.25, 3.5.8 and later do not")
		}
	}
}

func progressOvertakesEvents(version string) bool {
	version = "v" + version
	return semver.Compare(version, "v3.4.25") < 0 ||
		semver.Compare(version, "v3.5.0-0") >= 0 && semver.Compare(version, "v3.5.8") < 0
}
