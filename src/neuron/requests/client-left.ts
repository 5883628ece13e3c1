/** The status that is counted for a client which left; nobody receives it. */
export const CLIENT_LEFT = 499;
