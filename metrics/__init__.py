"""What is counted: every instrument in one place, the exposition, and gauges read from the tables."""
