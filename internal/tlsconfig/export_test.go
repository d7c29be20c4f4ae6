package tlsconfig

// ReloadOften makes c read its files before every connection, and not at most once a second.
func ReloadOften(c *Certificates) { c.interval = 0 }
