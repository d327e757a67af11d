/// <reference types="vite/client" />
declare module 'virtual:ansi.css';
