package job

// MaxSocketPath is the longest path of a unix socket on Linux, in bytes: sun_path of unix(7) less
// its NUL. Who connects, who listens and who reads the settings refuse a longer one alike.
const MaxSocketPath = 107
