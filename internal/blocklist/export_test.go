package blocklist

// Table is what the binary carries.
func Table() string { return table }
